"""Arithmetic and explanations without a training."""
