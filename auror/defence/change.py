"""Does the cohort suddenly teach something else? (ADR 0037)

A round's total is open to all who train, and so are its label rows Q̄_r (C, C). Against the mean of
the rounds before they hardly change from one round to the next, except where somebody begins to
mislabel: the entries of the pair jump. In units of what an entry usually changes by, and of the
round's median entry,

    z_r = max_ab (d²_ab / v_ab) / median_ab (d²_ab / v_ab),   d = Q̄_r − mean of Q̄_{r−1} … Q̄_{r−3}

is compared with the largest z of the rounds before. Nobody is accused by it: it only ends the
thrift of rounds that open no label rows.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
"""Single precision, as a checkpoint keeps it: a run that goes on sees what one without a break
sees."""

_BEFORE = 3
MEMORY = 20
"""Rounds that say how much an entry usually changes, and how large z gets by chance."""
_FEWEST = 10
"""Rounds that must have told v before z counts, and z before anything is a change."""
FACTOR = 3.0
"""How many times the largest z of ``MEMORY`` rounds is a change. Where nobody lies it was seen once
in 52 series, and the next z was 2.3 times as large at most elsewhere (13 trainings, MNIST and
signs, equally dealt and skewed, four draws of who is left out; seeds 17102 to 17112, 19100 to
19102). The first round of three or nine sleepers of 30 was one in 20 of 20 series (seeds 19200 to
19203)."""
_LASTING = 10
"""Changes in a row from which on they are what is usual: a lie that begins is in all of ``_BEFORE``
rounds after three, but honest clients whose classes vary more from some round on would change the
totals of 43 classes in every round for ever, and v learns nothing of a change."""
_TINY = 1e-30


def _nothing() -> Array:
    return np.zeros((0, 0, 0), np.float32)


def _rows(text: str, classes: int) -> Array:
    """What was written of them, (…, C, C)."""
    flat = np.frombuffer(base64.b64decode(text), "<f4")
    return flat.reshape(-1, classes, classes) if classes else _nothing()


@dataclass
class ChangeWatch:
    """What the rounds so far have shown; empty before the first."""

    recent: Array = field(default_factory=_nothing)
    """Q̄ of the last rounds, (``_BEFORE``, C, C) at most."""
    usual: Array = field(default_factory=_nothing)
    """v (1, C, C): mean of d², of each round in units of its median entry; of the last ``MEMORY``
    rounds mostly. Empty before there is any."""
    counted: int = 0
    """Rounds that v is a mean of, ``MEMORY`` at most."""
    seen: list[float] = field(default_factory=list)
    """z of the last ``MEMORY`` rounds that changed nothing."""
    told: int = 0
    """Changes in a row, up to the last round."""

    def tell(self, rows: NDArray[np.float64]) -> bool:
        """The label rows (C, C) of the next total, per client. Returns whether they changed: never
        in the first 23 rounds, which tell what is usual."""
        if not np.isfinite(rows).all():
            return False
        changed = len(self.recent) == _BEFORE and self._compare(rows)
        latest = rows.astype(np.float32)[None]
        self.recent = np.concatenate([self.recent.reshape(-1, *rows.shape), latest])[-_BEFORE:]
        return changed

    def _compare(self, rows: NDArray[np.float64]) -> bool:
        squared = (rows - self.recent.mean(axis=0)) ** 2
        middle = float(np.median(squared))
        if not middle:
            return False  # most entries stand still: there is no usual change to compare with
        squared /= middle
        if self.counted >= _FEWEST:
            ratio = squared / (self.usual[0] + _TINY)
            z = float(ratio.max() / (np.median(ratio) + _TINY))
            jumped = len(self.seen) >= _FEWEST and z > FACTOR * max(self.seen)
            if jumped and self.told < _LASTING:
                self.told += 1
                return True  # and no measure of what is usual
            self.told = 0
            self.seen = [*self.seen, z][-MEMORY:]
        self.counted = min(self.counted + 1, MEMORY)
        before = self.usual if self.counted > 1 else np.zeros((1, *rows.shape), np.float32)
        self.usual = (before + (squared - before) / self.counted).astype(np.float32)
        return False

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, exact."""
        classes = self.recent.shape[-1]
        recent, usual = (
            base64.b64encode(rows.astype("<f4").tobytes()).decode()
            for rows in (self.recent, self.usual)
        )
        counted = {"counted": self.counted, "seen": self.seen, "told": self.told}
        return {"classes": classes, "recent": recent, "usual": usual, **counted}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> ChangeWatch:
        """Raises KeyError, TypeError or ValueError when ``raw`` is not from :meth:`to_dict`."""
        classes = int(raw["classes"])
        recent, usual = (_rows(raw[name], classes) for name in ("recent", "usual"))
        seen = [float(z) for z in raw["seen"]]
        return cls(recent, usual, int(raw["counted"]), seen, int(raw["told"]))
