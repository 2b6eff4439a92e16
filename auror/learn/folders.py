"""Folders of data sets that are downloaded or drawn: found, looked for one level too deep, and left
as they were where nothing came."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from auror.errors import DataError
from auror.files import only_looking


def check_there(name: str, folder: Path, inner: tuple[str, ...], fix: str) -> None:
    """Look for the set ``name`` in ``folder``, where its files are in the folders ``inner``.

    Raises:
        DataError: ``folder`` is one of these itself; or they are missing, and nothing may be
            written now that would bring them.
    """
    if folder.joinpath(*inner).is_dir():
        return
    above = _above(folder.absolute(), inner)
    if above is not None:
        raise DataError(
            f"data set {name!r}: data_dir = {folder} lies too deep, {'/'.join(inner)} is looked for"
            f" in it: choose data_dir = {above}"
        )
    if only_looking():
        raise DataError(
            f"data set {name!r} is not in {folder}: a start would download it there, a check does"
            f" not: {fix}"
        )


def _above(folder: Path, inner: tuple[str, ...]) -> Path | None:
    """Where ``inner`` begins, if ``folder`` ends within it."""
    for depth in range(1, len(inner) + 1):
        rest = folder.joinpath(*inner[depth:])
        if folder.parts[-depth:] == inner[:depth] and rest.is_dir():
            return folder.parents[depth - 1]
    return None


@contextlib.contextmanager
def nothing_left(folder: Path) -> Iterator[None]:
    """Where what is done inside it fails, no empty folder stays of those that led to ``folder``
    and were not there before."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except BaseException:
        for path in missing:
            with contextlib.suppress(OSError):  # never made, or something came after all
                path.rmdir()
        raise
