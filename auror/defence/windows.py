"""Which late parts of a run are judged by themselves: who begins to lie late drowns in the rounds
before (docs/defence.md, section 5).

Of the rounds 0 … R − 1 the last 2ᵏ to 2ᵏ⁺¹ − 1, k = 3, 4, …, from a start that is a multiple of 2ᵏ.
A lie that stays is alone in a judged window after twice as many rounds as it needs to show, at
most. Starts are fixed before their rounds are seen, so the odds of each window are a martingale of
their own, and the error rate is shared among them.
"""

from __future__ import annotations

from dataclasses import dataclass

WHOLE = 0.9
"""Part of the error rate that is the whole run's: it costs 0.1 of the log-odds there, and 3.0 and
more in a late window, where nine sleepers of 30 reach 17 to 58 (development seeds 19200, 19201)."""
_SHORTEST = 8


@dataclass(frozen=True, slots=True)
class Window:
    """``start``: its first round, 0 in the whole run; ``share``: its part of the error rate, in
    (0, 1)."""

    start: int
    share: float


WHOLE_RUN = Window(0, WHOLE)


def late_windows(rounds: int) -> tuple[Window, ...]:
    """Those of a run of so many rounds, the longest first; their shares and ``WHOLE`` are parts of
    a sum over all lengths and starts that is one."""
    found = []
    length, kind = _SHORTEST, 1
    while rounds >= 2 * length:
        begun = rounds // length - 1
        share = (1.0 - WHOLE) / (kind * (kind + 1) * begun * (begun + 1))
        found.append(Window(begun * length, share))
        length, kind = 2 * length, kind + 1
    return tuple(reversed(found))


def alone(rounds: int, sums: int, clients: int, coverage: float) -> bool:
    """Whether a lie that began ``rounds`` ago, with ``sums`` independent group sums of ``clients``
    since, is alone by now in a window that is judged.

    ``coverage``: sums per client that a judgement takes (``VerdictParams``). A window that begins
    after the lie has as many when twice as many were opened.
    """
    return rounds >= 2 * _SHORTEST and sums >= 2 * coverage * max(clients - 1, 1)
