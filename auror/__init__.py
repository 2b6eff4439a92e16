"""Auror: federated training that is private and robust at the same time."""

__version__ = "0.1.0"
