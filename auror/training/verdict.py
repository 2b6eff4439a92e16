"""The port through which a training reaches a verdict: who is accused, and how strongly."""

from __future__ import annotations

from typing import Protocol

from auror.defence.ledger import Ledger
from auror.ids import ClientId


class Verdict(Protocol):
    """What the evidence says; ``to_dict`` holds the reasons."""

    @property
    def flagged(self) -> frozenset[ClientId]:
        """Everybody whom the bound evidence accuses, earlier ones included."""

    @property
    def doubted(self) -> frozenset[ClientId]:
        """Others who stand out, by evidence that might be somebody else's doing."""

    @property
    def cleared(self) -> frozenset[ClientId]:
        """Whom the evidence clears: had they lied, they would have been accused by now."""

    @property
    def scores(self) -> dict[ClientId, float]:
        """Suspicion by client."""

    @property
    def strength(self) -> float | None:
        """Evidence against the most suspicious set, flagged or not, in the detector's own unit;
        None: it has no such number."""

    @property
    def required(self) -> float | None:
        """What ``strength`` has to reach to flag."""

    def to_dict(self) -> dict[str, object]:
        """JSON-able form."""


class Detector(Protocol):
    """From bound evidence to a verdict on everybody."""

    def __call__(self, ledger: Ledger, invited: tuple[ClientId, ...], /) -> Verdict:
        """``invited``: whom the next round could invite, sorted."""
