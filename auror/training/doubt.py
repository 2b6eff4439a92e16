"""Whether something changed that the evidence has not shown yet (docs/adr/0037)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.defence.change import ChangeWatch
from auror.defence.ledger import Ledger
from auror.defence.selection import VerdictParams
from auror.defence.windows import alone


@dataclass
class Doubt:
    """Who was cleared is in doubt again when the totals change, until a lie that began then would
    have been seen."""

    change: ChangeWatch = field(default_factory=ChangeWatch)
    since: int = -1
    """Round of the run whose total changed last; -1: none."""

    def tell(self, index: int, rows: NDArray[np.float64]) -> None:
        """``rows`` (C, C): label rows of the total of round ``index``, per client."""
        if self.change.tell(rows):
            self.since = index

    def remains(self, ledger: Ledger, clients: int) -> bool:
        """Whether the evidence of ``clients`` since then would not show it."""
        if self.since < 0:
            return False
        later = ledger.since(self.since).rounds
        sums = sum(max(len(entry.groups) - 1, 0) for entry in later)
        return not alone(len(later), sums, clients, VerdictParams().coverage)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"since": self.since, "change": self.change.to_dict()}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Doubt:
        """Raises KeyError, TypeError or ValueError when ``raw`` is not from :meth:`to_dict`."""
        return cls(ChangeWatch.from_dict(raw["change"]), int(raw["since"]))
