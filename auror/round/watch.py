"""Which rounds open the label rows: all of them while there is doubt, else a drawn part (ADR 0022).

Every round opens its challenge rows, which only size and bind what is added up. The other rows of P
tell clients apart, round by round; they stay closed where nobody watches.
"""

from __future__ import annotations

import enum
from dataclasses import replace

from auror.crypto.kex import expand
from auror.crypto.tags import Tag
from auror.params import RoundParams
from auror.round.plan import StatisticsPlan

_DRAWN_BYTES = 8


class Watch(enum.Enum):
    """What a round's description says about its label rows."""

    ALWAYS = 1
    """They are opened: somebody is undecided. Clients count these (``Budget.max_watched``)."""
    DRAWN = 2
    """They are opened if the round's public randomness says so (``RoundParams.watch_rate``)."""


def is_watched(watch: Watch, rate: float, public_seed: bytes) -> bool:
    """Whether the rows of P beside the challenge are opened.

    ``public_seed``: of the round, so nobody knows before a quorum has signed U3 (step 3.9).
    ``rate``: chance in (0, 1] that a drawn round is watched.
    """
    if watch is Watch.ALWAYS:
        return True
    drawn = expand(public_seed, Tag.WATCH).reveal()[:_DRAWN_BYTES]
    return int.from_bytes(drawn, "little") < int(rate * 2 ** (8 * _DRAWN_BYTES))


def opened_plan(
    plan: StatisticsPlan, watch: Watch, params: RoundParams, public_seed: bytes
) -> StatisticsPlan:
    """Step 3.10: what clients open of ``plan``, and the challenge rows that nobody could foresee.

    In a round that is not watched nothing else is a part of it: then no client computes, masks or
    sends label rows, so nobody can open them.
    """
    seen = is_watched(watch, params.watch_rate, public_seed)
    kept = plan if seen else replace(plan, parts=())
    return kept.with_challenge(public_seed, params.challenge_rows)
