"""The client program."""
