"""Many rounds: which model, whom to invite, what the evidence says."""
