"""The defence: AUROR's evidence, read from group sums (numpy, scipy and scikit-learn only)."""
