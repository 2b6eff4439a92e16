"""The client's side of one masked sum, a file per phase."""
