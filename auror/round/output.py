"""Where the output layer lies in a flat model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True, slots=True)
class OutputShape:
    """Where the output layer's weights (classes × hidden, row-major) lie in the flat model.

    ``bias``: whether its ``classes`` biases follow them. Label rows read the weights only, so two
    shapes that differ in nothing else are equal.
    """

    offset: int
    classes: int
    hidden: int
    bias: bool = field(default=True, compare=False)

    @property
    def entries(self) -> int:
        """Weights and the biases that follow them."""
        return self.classes * (self.hidden + self.bias)

    def weights(self, vector: NDArray[_Number]) -> NDArray[_Number]:
        """The weights in a flat ``vector`` (d,), as a view (classes, hidden)."""
        block = vector[self.offset : self.offset + self.classes * self.hidden]
        return block.reshape(self.classes, self.hidden)
