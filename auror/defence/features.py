"""What the columns of a statistics vector are."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass


class FeatureKind(enum.Enum):
    """The four parts of a statistics plan."""

    OUTPUT = "output"
    """(a) the output layer's entries, shape (C, h + 1): weights, then the bias."""
    SKETCH = "sketch"
    """(b) a count sketch of the whole update under a seed fixed for the session."""
    CHALLENGE = "challenge"
    """(c) a count sketch under the round's own seed: for the norm test of that round only."""
    CONFUSION = "confusion"
    """(d) Q, read from the opened label rows, shape (C, C): entry (a, b) counts what is labelled a
    and looks like b."""


@dataclass(frozen=True, slots=True)
class FeatureBlock:
    """Columns ``start`` to ``stop`` (exclusive) of the statistics, row-major in ``shape``."""

    kind: FeatureKind
    start: int
    stop: int
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError("a feature block needs 0 <= start < stop")
        if math.prod(self.shape) != self.stop - self.start:
            raise ValueError(f"shape {self.shape} does not hold {self.stop - self.start} columns")
        if self.kind is FeatureKind.CONFUSION and (
            len(self.shape) != 2 or self.shape[0] != self.shape[1] or self.shape[0] < 2
        ):
            raise ValueError("the confusion block is a square of at least two classes")

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.stop - self.start

    def to_dict(self) -> dict[str, object]:
        """JSON-able form; ``from_dict`` is its inverse."""
        return {
            "kind": self.kind.value,
            "start": self.start,
            "stop": self.stop,
            "shape": list(self.shape),
        }

    @classmethod
    def from_dict(cls, data: dict[str, object]) -> FeatureBlock:
        """Inverse of ``to_dict``. Raises ValueError when a field is missing or of another type."""
        match data:
            case {"kind": str(kind), "start": int(start), "stop": int(stop), "shape": list(shape)}:
                return cls(FeatureKind(kind), start, stop, tuple(int(side) for side in shape))
        raise ValueError("not a feature block")
