"""How a program puts its cores to use: work that threads do side by side, for its calls give
Python's lock back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

_Part = TypeVar("_Part")
_Done = TypeVar("_Done")

_SHARES = 2


class Spread(Protocol):
    """``map``, or one whose calls run side by side."""

    def __call__(
        self, work: Callable[[_Part], _Done], parts: Iterable[_Part], /
    ) -> Iterable[_Done]:
        """``work`` of each of ``parts``, in order."""


def in_shares(items: Sequence[_Part]) -> list[Sequence[_Part]]:
    """``items`` for as many workers as there are, each its own; together they are all."""
    return [items[at::_SHARES] for at in range(_SHARES)]
