"""Primitives behind thin typed wrappers: bytes in, bytes out, randomness injected."""
