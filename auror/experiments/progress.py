"""Progress of an experiment on stderr: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

HEARTBEAT_SECONDS, _LONGEST_SECONDS = 1.5, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where an experiment stands. None: not known (yet), or does not apply."""

    stage: str
    round: int | None = None
    """Rounds done in this stage, restarts included."""
    rounds: int | None = None
    """Rounds to do, as far as is known now."""
    accuracy: float | None = None
    attack_success: float | None = None
    strength: float | None = None
    """Log-evidence against the most suspicious set of clients; None while it is not judged."""
    required: float | None = None
    """What accuses it; a flag takes audited rounds as well."""
    flagged: int | None = None
    note: str = ""

    def waiting(self, seconds: float) -> str:
        """One line on what goes on since ``seconds``, without what :meth:`text` has told."""
        parts = [self._where(), self.note] if self.round is None else [self._where()]
        return "  ".join([*filter(None, parts), f"… {seconds:.0f} s"])

    def _where(self) -> str:
        done = "" if self.round is None else f" {self.round:>3}/{self.rounds or '?'}"
        return f"{self.stage:<10}{done}"

    def text(self) -> str:
        """One line, without the time."""
        parts = [self._where()]
        if self.accuracy is not None:
            parts.append(f"accuracy {self.accuracy:6.1%}")
        if self.attack_success is not None:
            parts.append(f"attack success {self.attack_success:6.1%}")
        if self.required is not None:
            strength = "     –" if self.strength is None else f"{self.strength:6.1f}"
            parts.append(f"suspicion {strength} (accuses from {self.required:.0f})")
        if self.flagged is not None:
            parts.append(f"flagged {self.flagged:>2}")
        if self.note:
            parts.append(self.note)
        return "  ".join(parts)


class Heartbeat:
    """A context manager that calls ``beat`` after 1.5 s without ``news``, and from then on after
    silences twice as long each time, 30 s at most: a log should not be full of waiting. News does
    not shorten them: steps of five seconds would be told twice each for hours.

    ``beat`` gets the seconds since the last news and is called from a thread of its own.
    """

    def __init__(self, beat: Callable[[float], None]) -> None:
        self._beat = beat
        self._news = threading.Event()
        self._done = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="progress")

    def news(self) -> None:
        """Something was shown now."""
        self._news.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done = True
        self._news.set()
        self._thread.join()

    def _run(self) -> None:
        pause, since = HEARTBEAT_SECONDS, time.monotonic()
        while not self._done:
            if self._news.wait(pause):
                self._news.clear()
                since = time.monotonic()
            else:
                self._beat(time.monotonic() - since)
                pause = min(2 * pause, _LONGEST_SECONDS)


class Reporter(Protocol):
    """Called from the thread that runs the experiment."""

    def __call__(self, progress: Progress) -> None: ...


@dataclass
class StderrReporter:
    """A context manager; inside it, a terminal shows how time passes, and anything else gets a line
    for whatever is new, and some for what goes on (``Heartbeat``)."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    _latest: Progress = field(default_factory=lambda: Progress(stage="starting"), init=False)
    _by_stage: dict[str, Progress] = field(default_factory=dict, init=False)
    _started: float = field(default_factory=time.monotonic, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _live: Live | None = field(default=None, init=False)
    _heartbeat: Heartbeat | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        if self.stream.isatty():
            console = Console(file=self.stream)
            self._live = Live(console=console, get_renderable=self._table, refresh_per_second=4)
            self._live.start()
        else:
            self._heartbeat = Heartbeat(self._again).__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        if self._heartbeat is not None:
            self._heartbeat.__exit__()

    def __call__(self, progress: Progress) -> None:
        with self._lock:
            before, self._latest = self._latest, progress
            self._by_stage[progress.stage] = progress
            if self._heartbeat is not None and progress != before:
                self._print(progress.text())
                self._heartbeat.news()

    def _print(self, line: str) -> None:
        elapsed = time.monotonic() - self._started
        print(f"{elapsed:6.1f} s  {line}", file=self.stream, flush=True)

    def _again(self, silent: float) -> None:
        with self._lock:
            self._print(self._latest.waiting(silent))

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        titles = ("run", "round", "accuracy", "attack success", "suspicion", "flagged", "")
        for title in titles:
            table.add_column(title, justify="left" if title in ("run", "") else "right")
        with self._lock:
            for stage, at in self._by_stage.items():
                table.add_row(
                    stage,
                    "" if at.round is None else f"{at.round}/{at.rounds or '?'}",
                    "" if at.accuracy is None else f"{at.accuracy:.1%}",
                    "" if at.attack_success is None else f"{at.attack_success:.1%}",
                    ""
                    if at.required is None
                    else f"{'–' if at.strength is None else f'{at.strength:.1f}'}"
                    f" / {at.required:.0f}",
                    "" if at.flagged is None else str(at.flagged),
                    at.note,
                )
        elapsed = time.monotonic() - self._started
        table.caption = f"{elapsed:.0f} s"
        return table
