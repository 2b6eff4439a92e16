"""The sets of a round as the server tells them, each part of the one before."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from auror.errors import Refusal, Refused
from auror.ids import ClientId
from auror.round.public import set_of


def part_of(
    name: str, told: tuple[ClientId, ...], of: str, known: AbstractSet[ClientId]
) -> frozenset[ClientId]:
    """The set ``name`` that was ``told``.

    Raises:
        Refused: not sorted, with a client twice, or no part of ``known``, which is called ``of``.
    """
    try:
        found = set_of(told)
    except ValueError as error:
        raise Refused(Refusal.SET_NOT_SUBSET, f"{name}: {error}") from error
    if not found <= known:
        raise Refused(Refusal.SET_NOT_SUBSET, f"{name} is not part of {of}")
    return found
