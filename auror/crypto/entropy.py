"""Where secrets come from.

Everything that needs randomness takes an ``Entropy``; programs pass ``system_entropy``.
A seeded one exists only in ``auror.sim``, which server and client programs cannot import.
"""

from __future__ import annotations

import os
from collections.abc import Callable

Entropy = Callable[[int], bytes]
"""``entropy(n)`` returns ``n`` fresh, unpredictable bytes."""

SECRET_BYTES = 32

system_entropy: Entropy = os.urandom


class Secret:
    """32 bytes that must not be printed. ``reveal()`` is the only way to the value."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        if len(value) != SECRET_BYTES:
            raise ValueError(f"a secret has {SECRET_BYTES} bytes, not {len(value)}")
        self._value = value

    @classmethod
    def draw(cls, entropy: Entropy) -> Secret:
        return cls(entropy(SECRET_BYTES))

    def reveal(self) -> bytes:
        return self._value

    def __repr__(self) -> str:
        return "Secret(<redacted>)"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not serialised by accident")
