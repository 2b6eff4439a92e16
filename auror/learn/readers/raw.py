"""What every reader gives back, and how it says what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from auror.errors import DataError

MOST_BYTES = 4 * 2**30
"""Of one file's samples in memory: what a small archive or a long table may grow to."""


@dataclass(frozen=True, slots=True, eq=False)
class RawFile:
    """Samples as a file holds them, with labels of whatever kind it names them by.

    Attributes:
        x: (N, ...), real numbers in the file's own type, all finite.
        labels: (N,), real numbers of any type or words (``str`` objects).
        folders: class folders of an image folder, those without images included; None elsewhere.
        features: names of a table's columns; None elsewhere.
        label_place: how the place of label i is written, e.g. ``y[{}]``; of tables, with lines.
        lines: (N,) line of every row in its file; None elsewhere.
    """

    x: NDArray[Any]
    labels: NDArray[Any]
    folders: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None
    label_place: str = "y[{}]"
    lines: NDArray[np.int64] | None = None

    def place(self, index: int) -> str:
        """Where label ``index`` stands in the file."""
        return self.label_place.format(index if self.lines is None else int(self.lines[index]))


def refuse(where: str, what: str, fix: str) -> NoReturn:
    """Raises DataError: one line with the file, the place and the fix."""
    raise DataError(" ".join(f"{where}: {what}; {fix}".split()))


def unreadable(where: str, error: OSError) -> DataError:
    """A file that the system does not give."""
    why = (error.strerror or str(error)).lower()
    return DataError(
        f"{where}: cannot be read ({why}); name an npz file, a CSV file or a folder with a folder"
        " of images per class, and let this user read it"
    )


def check_size(where: str, found: int) -> None:
    """Raises DataError when ``found`` bytes are more than ``MOST_BYTES``."""
    if found > MOST_BYTES:
        refuse(
            where,
            f"its samples take {found / 2**30:.1f} GiB in memory, more than {MOST_BYTES >> 30}",
            "name a smaller part, or load it with a task of your own",
        )
