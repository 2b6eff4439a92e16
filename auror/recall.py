"""What was computed of an object before, as long as it is the same object."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

_Known = TypeVar("_Known")
_Found = TypeVar("_Found")


def recalled(most: int) -> Callable[[Callable[[_Known], _Found]], Callable[[_Known], _Found]]:
    """For functions of one argument that nobody changes: the latest ``most`` results are kept.

    As ``functools.lru_cache``, but an argument is known by its identity. A round tells everybody
    the same few sets of clients: to hash one of thousands, once a client, takes longer than to
    look for it. An equal argument that is another object is computed anew.
    """

    def decorate(function: Callable[[_Known], _Found]) -> Callable[[_Known], _Found]:
        kept: tuple[tuple[_Known, _Found], ...] = ()

        @wraps(function)
        def recall(known: _Known) -> _Found:
            nonlocal kept
            for place, entry in enumerate(kept):
                if entry[0] is known:
                    if place:  # in one assignment, so that threads see one state or another
                        kept = (entry, *(other for other in kept if other is not entry))
                    return entry[1]
            found = function(known)
            kept = ((known, found), *kept[: most - 1])
            return found

        return recall

    return decorate
