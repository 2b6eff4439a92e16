"""Where the output layer lies in a flat model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True, slots=True)
class OutputShape:
    """Where the output layer's weights (classes × hidden, row-major) lie in the flat model;
    its ``classes`` biases follow them."""

    offset: int
    classes: int
    hidden: int

    def weights(self, vector: NDArray[_Number]) -> NDArray[_Number]:
        """The weights in a flat ``vector`` (d,), as a view (classes, hidden)."""
        block = vector[self.offset : self.offset + self.classes * self.hidden]
        return block.reshape(self.classes, self.hidden)
