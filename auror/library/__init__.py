"""What ``import auror`` offers: whole things in one call, in memory, on values of one's own."""
