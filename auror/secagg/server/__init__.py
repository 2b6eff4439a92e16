"""The server's side of one masked sum, a file per phase."""
