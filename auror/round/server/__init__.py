"""The server's side of a round: a file per phase, ``machine`` puts them in order."""
