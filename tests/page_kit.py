"""The command blocks of pages, as tests run them: a page that changes changes what is run.

A block of commands is marked ``sh``. ``PAGES`` says which test runs a page's, ``NOT_RUN`` why a
line is run by none; ``tests/architecture/test_command_blocks.py`` finds a page without either.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 280
QUICK = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}

PAGES = {
    "README.md": "tests/integration/test_readme_page.py",
    "docs/containers.md": "tests/system/test_compose.py",
    "docs/deploy.md": "tests/integration/test_deploy_page.py",
    "docs/export.md": "tests/integration/test_run_comes_out.py",
    "docs/install.md": "tests/architecture/test_what_a_release_says.py",
    "docs/membership.md": "tests/integration/test_membership_page.py",
    "docs/operating.md": "tests/integration/test_deploy_page.py",
    "docs/own-data.md": "tests/integration/test_own_data_page.py",
    "docs/own-task.md": "tests/integration/test_own_task.py",
    "docs/scaling.md": "tests/integration/test_measuring_pages.py",
    "docs/signs.md": "tests/integration/test_measuring_pages.py",
    "docs/sweeps.md": "tests/integration/test_measuring_pages.py",
    "docs/when-things-go-wrong.md": "tests/integration/test_flagged_client.py",
    "examples/two_hosts/README.md": "tests/integration/test_examples.py",
}
"""Page → the test that runs its blocks."""

_HOST = "it changes the host; systemd-analyze verifies the units (tests/system)"
_LOADS = "it loads 5 GB; `make release-check` installs into a new environment"
_NO_GPU = "no GPU where tests run; both files are held against the schema of compose"
NOT_RUN = {
    "README.md": {
        "make demo": "tests/integration/test_demo.py runs `auror demo`, small",
        "make test": "it is what runs this test",
    },
    "docs/containers.md": {
        "docker compose -f compose.yaml -f compose.cuda.yaml": _NO_GPU,
        "cp deploy/systemd/auror-sysusers.conf": _HOST,
        "install -d /etc/auror": _HOST,
        "cp deploy/systemd/auror-server.service": _HOST,
        "sudo -u auror /opt/auror/bin/auror start": _HOST,
    },
    "docs/install.md": {
        "python3 -m venv auror-env": _LOADS,
        "auror-env/bin/pip install": _LOADS,
        "auror-env/bin/auror --version": _LOADS,
    },
    "docs/scaling.md": {
        "auror loadtest --clients 5000 --engine ray": "tests/ray (`make test-ray`) does, small",
    },
    "docs/sweeps.md": {
        "auror sweep MANIFEST": "tests/ray (`make test-ray`) sweeps on a cluster of two nodes",
    },
}
"""Page → how a line begins → why no test runs it."""


@dataclass(frozen=True)
class Block:
    page: str
    language: str
    text: str

    def lines(self) -> list[str]:
        """Commands; continued ones in one, without comments."""
        whole = self.text.replace("\\\n", " ")
        bare = (re.sub(r"(^|\s+)# .*", "", line) for line in whole.splitlines())
        return [" ".join(line.split()) for line in bare if line.strip()]


def blocks(page: str, section: str = "") -> list[Block]:
    """Every fenced block of a page, or of its section of that title."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if section:
        _, title, rest = text.partition(f"\n## {section}\n")
        assert title, f"{page} has no section {section!r}"
        text = rest.partition("\n## ")[0]
    found = re.findall(r"^```(\S*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [Block(page, language, inner) for language, inner in found]


def lines(page: str, instead: Mapping[str, str] | None = None, section: str = "") -> list[str]:
    """The commands of a page in their order, but for ``NOT_RUN``.

    Args:
        instead: what a reader has to put in its own place, and this test's word for it. Each must
            be on the page.
    """
    not_run = NOT_RUN.get(page, {})
    found = [
        line
        for block in blocks(page, section)
        if block.language == "sh"
        for line in block.lines()
        if not line.startswith(tuple(not_run))
    ]
    for old, new in (instead or {}).items():
        assert any(old in line for line in found), f"{page} does not say {old!r} any more"
        found = [line.replace(old, new) for line in found]
    return found


def environment() -> dict[str, str]:
    """The programs of this environment are found as a reader's are."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, **QUICK, "PATH": path, "AUROR_SERVER__SERVER__HEALTH": ""}


class Program:
    """One that runs until it ends by itself or is told to."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self._log = process, log

    def text(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def ends(self, code: int = 0) -> None:
        assert self.process.wait(PATIENCE_S) == code, self.text()[-3000:]


class Host:
    """A folder that stands for a machine."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder, self._stack = folder, stack
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, line: str, code: int = 0) -> str:
        """What the command said, as a shell here runs it."""
        done = subprocess.run(
            ["sh", "-ec", line], cwd=self.folder, env=environment(), text=True, timeout=PATIENCE_S,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert done.returncode == code, (line, done.returncode, done.stdout[-3000:])
        return done.stdout

    def start(self, line: str, name: str = "program") -> Program:
        """The command in the background; it is ended when the test is."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["sh", "-ec", f"exec {line}"], cwd=self.folder, env=environment(),
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return Program(process, log)


@contextlib.contextmanager
def hosts(folder: Path) -> Iterator[Callable[[str], Host]]:
    """Makes hosts by name, below ``folder``."""
    with contextlib.ExitStack() as stack:
        yield lambda name: Host(folder / name, stack)


def until(what: Callable[[], object], *programs: Program, which: str = "") -> None:
    """… while none of the programs ends."""
    limit = time.monotonic() + PATIENCE_S
    while not what():
        for program in programs:
            assert program.process.poll() is None, program.text()[-3000:]
        assert time.monotonic() < limit, which or "waited too long"
        time.sleep(0.1)
