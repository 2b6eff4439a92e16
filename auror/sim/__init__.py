"""Whole runs in one process: the same machines, an in-memory network, seeded randomness.

Server and client programs cannot import this package (import-linter): its randomness repeats.
"""
