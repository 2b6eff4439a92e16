"""The run folder: what must survive a crash is on disk before anybody is told (rule 4).

``journal.jsonl`` is append-only and fsynced; model and checkpoint are replaced whole. Seeds, keys,
shares and masks never get here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from auror.deployment.checks import check_writable
from auror.deployment.locks import Lock
from auror.deployment.model_file import MODEL_FILE, model_bytes
from auror.errors import ConfigError
from auror.files import replace_file
from auror.round.facts import Fact, ServerFact, decode, encode
from auror.round.interrupted import InterruptedRound, interrupted_rounds
from auror.round.record import RoundRecord
from auror.round.record_json import record_from_json, record_to_json

JOURNAL = "journal.jsonl"
ROUNDS = "rounds.jsonl"
TIMINGS = "timings.jsonl"
VERDICT = "verdict.json"
CLOSING = "closing.json"
"""The last round's lines, in case a crash comes between the checkpoint and them."""
CLOSING_ORDER = (TIMINGS, ROUNDS)
"""Who sees a round sees its timings too."""
CONFIG = "config.toml"
ACCOUNT = "account.json"
SAMPLES = "samples.json"
LOCK = ".lock"


def lock_folder(folder: Path) -> Lock:
    """Make ``folder`` this process's run folder.

    Raises:
        ConfigError: it cannot be used, or another server runs on it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error
    return Lock(
        folder / LOCK,
        "server.run_dir",
        f"another auror-server runs on {folder}; end that one first, or choose another folder",
    )


def check_folder(folder: Path) -> Path:
    """``folder`` could be this process's run folder; nothing is made there.

    Raises:
        ConfigError: it cannot be written, or a server runs on it.
    """
    if (folder / LOCK).exists():
        lock_folder(folder).close()
    return check_writable("server.run_dir", folder)


def _unusable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"server.run_dir = {folder}: cannot write there ({error.strerror}); choose another folder"
    )


class Store:
    """One run folder, open for writing; see :func:`lock_folder`."""

    def __init__(self, folder: Path) -> None:
        """Raises ConfigError when ``folder`` cannot be used."""
        try:
            self.folder = folder
            _end_last_line(folder / JOURNAL)
            self._journal: IO[str] = (folder / JOURNAL).open("a", encoding="utf-8")
        except OSError as error:
            raise _unusable(folder, error) from error
        self._dirty = False
        self._announced: dict[str, Mapping[str, Any]] = {}
        """The line per file that :meth:`keep_round` appends."""

    def close(self) -> None:
        self.sync()
        self._journal.close()

    def note(self, fact: ServerFact) -> None:
        """Append one fact; durable after the next :meth:`sync`."""
        self._journal.write(encode(fact) + "\n")
        self._dirty = True

    @property
    def dirty(self) -> bool:
        return self._dirty

    def sync(self) -> None:
        if self._dirty:
            self._journal.flush()
            os.fsync(self._journal.fileno())
            self._dirty = False

    def announce_round(
        self, record: RoundRecord, extra: Mapping[str, Any], timings: Mapping[str, Any] | None
    ) -> None:
        """Before the checkpoint: what :meth:`keep_round` will append once the round counts.

        ``timings``: None of a round that nobody could measure to its end.
        """
        self._announced = {ROUNDS: {**record_to_json(record), **extra}}
        if timings is not None:
            self._announced[TIMINGS] = timings
        content = json.dumps(self._announced, separators=(",", ":"))
        replace_file(self.folder / CLOSING, content.encode())

    def keep_round(self) -> None:
        """After the checkpoint, once: the announced lines of ``rounds.jsonl`` and
        ``timings.jsonl``, fsynced."""
        for name in CLOSING_ORDER:
            if name in self._announced:
                append_line(self.folder / name, self._announced.pop(name))

    def complete(self, index: int) -> None:
        """After a crash: append what belongs to the checkpoint of ``index`` rounds and is missing.

        The lines of a round that no checkpoint holds are dropped: it was interrupted.
        """
        path = self.folder / CLOSING
        if not path.exists():
            return
        lines = json.loads(_text(path))
        if lines[ROUNDS]["index"] != index - 1:
            return
        for name in (each for each in CLOSING_ORDER if each in lines):
            kept = read_lines(self.folder / name)
            if not kept or kept[-1]["index"] != lines[name]["index"]:
                append_line(self.folder / name, lines[name])

    def keep_model(self, task: bytes, model: NDArray[np.float32]) -> None:
        replace_file(self.folder / MODEL_FILE, model_bytes(task, model))

    def keep_total(self, index: int, total: NDArray[np.int64]) -> None:
        folder = self.folder / "totals"
        folder.mkdir(exist_ok=True)
        np.save(folder / f"{index}.npy", total, allow_pickle=False)

    def keep_verdict(self, verdict: Mapping[str, Any]) -> None:
        self.keep_json(VERDICT, verdict)

    def keep_json(self, name: str, value: Mapping[str, Any]) -> None:
        replace_file(self.folder / name, json.dumps(value, indent=2).encode() + b"\n")

    def keep_text(self, name: str, text: str) -> None:
        replace_file(self.folder / name, text.encode())

    def records(self) -> list[RoundRecord]:
        """Of all rounds so far, those before a resumption too."""
        return [record_from_json(line) for line in read_lines(self.folder / ROUNDS)]

    def interrupted(self, counter: int) -> tuple[InterruptedRound, ...]:
        """The rounds that crashes broke off since a checkpoint that names ``counter`` as the
        next, oldest first."""
        return interrupted_rounds(read_facts(self.folder / JOURNAL), counter)


def append_line(path: Path, line: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, separators=(",", ":")) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _text(path: Path) -> str:
    """Raises ConfigError: bytes that no server wrote."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is damaged at byte {error.start}: restore it, or choose another server.run_dir"
        ) from error


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of ``path``; a line that a crash cut short is passed over."""
    if not path.exists():
        return []
    found = []
    for text in _text(path).splitlines():
        try:
            found.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return found


def read_facts(path: Path) -> list[Fact]:
    """The facts of a journal; a line that a crash cut short is passed over."""
    found = []
    for text in _text(path).splitlines() if path.exists() else []:
        try:
            found.append(decode(text))
        except ValueError:
            continue
    return found


def _end_last_line(path: Path) -> None:
    """A crash may have cut the last line short; what follows must not join it."""
    if path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n"):
        with path.open("ab") as file:
            file.write(b"\n")
