"""A CSV file: a header, a column with labels, all others numbers."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from auror.errors import DataError
from auror.learn.readers.raw import RawFile, check_size, refuse

_DELIMITERS = (",", ";", "\t", "|")
_MOST = float(np.finfo(np.float32).max)
_FILL = "fill it in or leave the row out"


def read_table(path: Path, where: str, label_column: str = "") -> RawFile:
    """``x`` (N, features) float64; labels as numbers where every one is one, else as words.

    Separated by commas, semicolons, tabs or bars, whichever the header has most of; UTF-8, with or
    without a byte order mark. ``label_column``: its name; "": the last one.

    Raises:
        DataError: no header, ragged rows, cells that are no finite numbers, no such column.
        OSError: the file cannot be read.
    """
    header, rows, lines = _rows(_text(path, where), where)
    column = _label_column(where, header, label_column)
    features = header[:column] + header[column + 1 :]
    if not features:
        refuse(where, f"has no column beside {header[column]!r}", "add the features")
    if all(map(_is_number, features)) and header[column] in {cells[column] for cells in rows}:
        _refuse_headless(where, header)
    check_size(where, 8 * len(rows) * len(features))
    x = np.empty((len(rows), len(features)))
    for row, (cells, line) in enumerate(zip(rows, lines, strict=True)):
        numbers = cells[:column] + cells[column + 1 :]
        for position, cell in enumerate(numbers):
            x[row, position] = _number(where, cell, line, features[position])
    labels = _labels(where, [cells[column].strip() for cells in rows], lines, header[column])
    return RawFile(
        x,
        labels,
        features=tuple(features),
        label_place=f"line {{}}, column {header[column]!r}",
        lines=np.array(lines, dtype=np.int64),
    )


def _text(path: Path, where: str) -> str:
    size = path.stat().st_size
    check_size(where, size)
    raw = path.read_bytes()
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        place = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{where}: line {place} is not UTF-8 text; save it as CSV in UTF-8, or if it is no"
            " table name an npz file or an image folder"
        ) from error


def _rows(text: str, where: str) -> tuple[list[str], list[list[str]], list[int]]:
    """Header, rows and the line in which each row ends; empty lines are passed over."""
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)  # of equals the first: a comma
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found: list[list[str]] = []
    lines: list[int] = []
    try:
        for cells in reader:
            if cells:
                found.append(cells)
                lines.append(reader.line_num)
    except csv.Error as error:
        refuse(where, f"line {reader.line_num} is no CSV ({error})", "write it again as CSV")
    if not found:
        refuse(where, "is empty", "write a header and a row per sample")
    header = [cell.strip() for cell in found[0]]
    _check_header(where, header)
    ragged = [i for i in range(1, len(found)) if len(found[i]) != len(header)]
    if ragged:
        refuse(
            where,
            f"line {lines[ragged[0]]} has {len(found[ragged[0]])} cells, the header {len(header)},"
            f" and so have {len(ragged)} of {len(found) - 1} rows another number",
            "separate by one sign, quote cells that hold it, and write decimal points",
        )
    if len(found) == 1:
        refuse(where, "has a header and no rows", "write a row per sample")
    return header, found[1:], lines[1:]


def _check_header(where: str, header: Sequence[str]) -> None:
    if all(_is_number(cell) for cell in header):
        _refuse_headless(where, header)
    empty = [i for i, cell in enumerate(header) if not cell]
    if empty:
        refuse(where, f"column {empty[0] + 1} has no name", "name every column in the header")
    twice = sorted({cell for cell in header if header.count(cell) > 1})
    if twice:
        refuse(where, f"two columns are named {twice[0]!r}", "give each a name of its own")


def _refuse_headless(where: str, first: Sequence[str]) -> NoReturn:
    refuse(
        where,
        f"its first line holds a sample ({first[0]}, ..., {first[-1]}), not the columns' names",
        "write a header",
    )


def _label_column(where: str, header: Sequence[str], wanted: str) -> int:
    if not wanted:
        return len(header) - 1
    if wanted not in header:
        near = difflib.get_close_matches(wanted, header, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "choose one of the header's"
        shown = ", ".join(map(repr, header[:8])) + (", ..." if len(header) > 8 else "")
        refuse(where, f"has no label column {wanted!r}, but {shown}", hint)
    return header.index(wanted)


def _number(where: str, cell: str, line: int, name: str) -> float:
    is_number = _is_number(cell)
    if not (is_number and abs(float(cell)) <= _MOST):
        _refuse_number(where, cell, f"line {line}, column {name!r}", is_number)
    return float(cell)


def _refuse_number(where: str, cell: str, place: str, is_number: bool) -> NoReturn:
    if not cell.strip():
        refuse(where, f"{place} is empty", _FILL)
    if is_number:
        refuse(where, f"{place} is {cell.strip()[:40]}, which cannot be trained on", _FILL)
    fix = "write numbers as 3.5" if "," in cell else "encode it as numbers or drop the column"
    refuse(where, f"{place} is {cell[:40]!r}, not a number", fix)


def _is_number(cell: str) -> bool:
    """As numbers are written: Python's own digits with ``_`` between them are none."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _labels(
    where: str, cells: Sequence[str], lines: Sequence[int], name: str
) -> NDArray[np.object_] | NDArray[np.float64]:
    for cell, line in zip(cells, lines, strict=True):
        if not cell:
            refuse(where, f"line {line}, column {name!r} is empty: a row without a label", _FILL)
    numbers = [_is_number(cell) for cell in cells]
    if all(numbers):
        return np.array([float(cell) for cell in cells])
    odd = numbers.index(True) if any(numbers) else -1
    if odd >= 0 and sum(numbers) != len(cells):
        word = numbers.index(False)
        refuse(
            where,
            f"column {name!r} mixes numbers and words: line {lines[odd]} is {cells[odd]!r}, line"
            f" {lines[word]} is {cells[word][:40]!r}",
            "name every class by a word, or number them from 0",
        )
    return np.array(cells, dtype=object)
