"""Remove one check at a time and require that the test named for it fails.

    python scripts/mutants.py [--only WORD] [--format json]

The table is tests/mutants/mutants.toml. Mutants live in copies of the sources under a temporary
folder; the tree itself is never touched. Exit code 1 when a mutant survives, 2 when nothing can be
said: no mutant is meant, or the tests do not pass without one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "tests" / "mutants" / "mutants.toml"
_COPIED = ("auror", "server", "client", "tests", "deploy", "docs", "proto", "pyproject.toml")
_SECONDS, _SECONDS_UNCHANGED = 180, 1800
"""Of the test of one mutant, and of all named tests on the sources as they are."""
_FAILED = 1  # pytest's exit code for tests that ran and failed


@dataclass(frozen=True)
class Mutant:
    """One check, the text that removes it, and the test that must notice."""

    name: str
    guards: str
    file: str
    old: str
    new: str
    test: str

    def apply(self, root: Path) -> str:
        """Write the mutated file under ``root``; returns what it held before."""
        path = root / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise SystemExit(
                f"{self.name}: {self.file} holds its text {text.count(self.old)} times"
            )
        path.write_text(text.replace(self.old, self.new))
        return text


@dataclass(frozen=True)
class Fate:
    """What became of one mutant."""

    name: str
    guards: str
    test: str
    killed: bool
    seconds: float


def load() -> list[Mutant]:
    """The table."""
    return [Mutant(**row) for row in tomllib.loads(TABLE.read_text())["mutant"]]


@contextmanager
def copies(count: int) -> Iterator[SimpleQueue[Path]]:
    """``count`` copies of the sources, to be taken and put back."""
    with tempfile.TemporaryDirectory(prefix="auror-mutants-") as name:
        free: SimpleQueue[Path] = SimpleQueue()
        for k in range(count):
            root = Path(name) / str(k)
            for part in _COPIED:
                source = ROOT / part
                if source.is_dir():
                    shutil.copytree(
                        source, root / part, ignore=shutil.ignore_patterns("__pycache__")
                    )
                else:
                    root.mkdir(exist_ok=True)
                    shutil.copy(source, root / part)
            free.put(root)
        yield free


def run_tests(root: Path, tests: list[str], seconds: int) -> int:
    """pytest's exit code for ``tests`` on the sources under ``root``; a hang counts as failed."""
    path = os.pathsep.join(str(root / part) for part in (".", "server", "client"))
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
               "-p", "no:xdist", "-p", "no:cov", f"--basetemp={root / 'tmp'}", *tests]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return _FAILED
    return done.returncode


def judge(mutant: Mutant, free: SimpleQueue[Path]) -> Fate:
    """Apply, test, restore."""
    root, started = free.get(), time.monotonic()
    before = mutant.apply(root)
    try:
        code = run_tests(root, [mutant.test], _SECONDS)
    finally:
        (root / mutant.file).write_text(before)
        free.put(root)
    seconds = round(time.monotonic() - started, 1)
    return Fate(mutant.name, mutant.guards, mutant.test, code == _FAILED, seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="mutants whose name or file holds this word")
    parser.add_argument("--workers", type=int, default=2, help="at a time (default 2)")
    parser.add_argument("--format", choices=["text", "json"], default="text")
    options = parser.parse_args()
    mutants = [m for m in load() if options.only in m.name or options.only in m.file]
    if not mutants:
        said = f"--only {options.only}: no mutant holds this word in its name or file"
        print(f"mutants.py: {said}", file=sys.stderr)
        return 2
    with copies(options.workers) as free:
        root = free.get()
        if code := run_tests(root, sorted({mutant.test for mutant in mutants}), _SECONDS_UNCHANGED):
            print(f"the tests do not pass without mutants (pytest: {code})", file=sys.stderr)
            return 2
        free.put(root)
        fates = []
        with ThreadPoolExecutor(options.workers) as pool:
            for fate in pool.map(lambda mutant: judge(mutant, free), mutants):
                fates.append(fate)
                word = "killed  " if fate.killed else "SURVIVED"
                print(f"{word} {fate.name} ({fate.guards}): {fate.test}", file=sys.stderr)
    killed = sum(fate.killed for fate in fates)
    if options.format == "json":
        print(json.dumps({"mutants": [asdict(fate) for fate in fates], "killed": killed}))
    else:
        print(f"{killed} of {len(fates)} mutants killed")
    return int(killed < len(fates))


if __name__ == "__main__":
    sys.exit(main())
