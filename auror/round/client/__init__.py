"""The client's side of a round: a file per phase, ``machine`` puts them in order."""
