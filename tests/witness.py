"""``auror-server`` or ``auror-client`` under a witness: what it costs, and what it must never show.

    python tests/witness.py FOLDER auror_client --set client.server=…

The program runs as it is. Into FOLDER the witness writes what the program holds as it goes:
resources once in half a second (``Sample``), and every secret that a client draws, agrees on or
deals (``read_secrets``). So tests know what to search for where nothing of it may be.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import runpy
import struct
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auror.crypto.kex import KeyPair
from auror.crypto.signing import SigningKey
from auror.programs.processes import RunningProgram
from auror.secagg import sharing
from auror.secagg.instance import SecretKind

LEAK = "WITNESS_LEAK"
"""Variable: the program is to print the first secret of every kind, so that a search finds it."""
SECONDS = 0.5
ENTRIES = 8
"""Of an update, as many as tell it from others."""
_PR_GET_DUMPABLE = 3
_PAGE = os.sysconf("SC_PAGE_SIZE")
_FILES, _THREADS = Path("/proc/self/fd"), Path("/proc/self/task")
_HEAD = struct.Struct("<BH")
KINDS = ("identity", "round key", "mask seed", "self mask", "share", "update")


@dataclass(frozen=True)
class Sample:
    """One look at a process, from inside."""

    at: float
    """Monotonic seconds, the same clock in all processes of a machine."""
    rss: int
    """Bytes of memory that are in use."""
    files: int
    """Open descriptors."""
    tasks: int
    """Tasks of asyncio, the witness's own not counted."""
    threads: int
    dumpable: int


def start(
    folder: Path, name: str, program: str, settings: Mapping[str, Any], leak: bool = False
) -> RunningProgram:
    """Start ``program`` in ``folder``/cwd with ``folder``/tmp for scratch files; its log, of all
    starts under this name, and what the witness saw lie in ``folder``/logs and ``folder``/seen."""
    for part in ("logs", "seen", "cwd", "tmp"):
        (folder / part).mkdir(exist_ok=True)
    words = (
        part
        for key, value in settings.items()
        for part in (
            "--set",
            f"{key}={json.dumps(str(value) if isinstance(value, Path) else value)}",
        )
    )
    log = folder / "logs" / f"{name}.log"
    more = {"TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1", **({LEAK: "1"} if leak else {})}
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, __file__, str(folder / "seen" / name), program, *words],
            cwd=folder / "cwd",
            env={**os.environ, **more},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    return RunningProgram(name, process, log)


def read_samples(path: Path) -> list[Sample]:
    """Of one process; a line that a kill cut off is left out."""
    found = []
    for line in path.read_text().splitlines():
        try:
            found.append(Sample(**json.loads(line)))
        except ValueError:
            continue
    return found


def read_secrets(path: Path) -> Iterator[tuple[str, bytes]]:
    """(kind, value) of everything secret that one process held."""
    raw, at = path.read_bytes(), 0
    while at + _HEAD.size <= len(raw):
        kind, size = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        yield KINDS[kind], raw[at : at + size]
        at += size


class Witness:
    """Writes to ``path``.PID.samples and ``path``.PID.secrets."""

    def __init__(self, path: Path, leak: bool) -> None:
        self._samples = path.with_name(f"{path.name}.{os.getpid()}.samples").open("a", buffering=1)
        self._secrets = os.open(
            path.with_name(f"{path.name}.{os.getpid()}.secrets"),
            os.O_WRONLY | os.O_CREAT | os.O_APPEND,
        )
        self._prctl = ctypes.CDLL(None).prctl
        self._to_leak = set(KINDS) if leak else set()

    def secrets(self, kind: str, *values: bytes) -> None:
        number = KINDS.index(kind)
        os.write(
            self._secrets, b"".join(_HEAD.pack(number, len(value)) + value for value in values)
        )
        if kind in self._to_leak:
            self._to_leak.remove(kind)
            print(f"LEAKED {values[0].hex()}", flush=True)

    def watch_secrets(self) -> None:
        """Follow what is secret from where it arises."""
        _after(KeyPair, "__init__", lambda pair, _: self.secrets("round key", pair.secret.reveal()))
        _after(KeyPair, "shared_key", lambda _, key: self.secrets("mask seed", key.reveal()))
        _after(
            SigningKey, "__init__", lambda key, _: self.secrets("identity", key._secret.reveal())
        )
        deal, split, public = sharing.deal, sharing.shamir.split, list[Any]()

        def watched_deal(transcript: Any, dealer: Any, secrets: Any, *rest: Any) -> Any:
            self.secrets("self mask", secrets[SecretKind.SELF_SEED].reveal())
            public.append(secrets[SecretKind.RANDOMNESS])  # everybody learns it
            try:
                return deal(transcript, dealer, secrets, *rest)
            finally:
                public.remove(secrets[SecretKind.RANDOMNESS])

        def watched_split(secret: Any, *rest: Any) -> Any:
            shares = split(secret, *rest)
            if not any(secret is one for one in public):
                self.secrets("share", *shares.values())
            return shares

        sharing.deal, sharing.shamir.split = watched_deal, watched_split

    def watch_updates(self) -> None:
        from auror_client.trainer import SyntheticTrainer

        _after(SyntheticTrainer, "train", lambda _, update: self.secrets("update", begin(update)))

    async def sample(self) -> None:
        while True:
            rss = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
            files, tasks = len(list(_FILES.iterdir())) - 1, len(asyncio.all_tasks()) - 1
            threads, dumpable = len(list(_THREADS.iterdir())), self._prctl(_PR_GET_DUMPABLE)
            seen = Sample(time.monotonic(), rss, files, tasks, threads, dumpable)
            self._samples.write(json.dumps(asdict(seen)) + "\n")
            await asyncio.sleep(SECONDS)

    def watch_resources(self) -> None:
        run = asyncio.run

        def watched(main: Coroutine[Any, Any, Any]) -> Any:
            async def both() -> Any:
                sampling = asyncio.create_task(self.sample())
                try:
                    return await main
                finally:
                    sampling.cancel()

            return run(both())

        asyncio.run = watched  # type: ignore[assignment]


def begin(update: Any) -> bytes:
    """The first entries of an update that are not all zero: what to search for."""
    some = np.flatnonzero((update[:-ENTRIES] != 0) & (update[1 : 1 - ENTRIES] != 0))
    return update[some[0] : some[0] + ENTRIES].tobytes() if len(some) else b""


def _after(owner: type, name: str, look: Any) -> None:
    original = getattr(owner, name)

    def watched(self: Any, *given: Any) -> Any:
        found = original(self, *given)
        look(self, found)
        return found

    setattr(owner, name, watched)


def main() -> None:
    path, program, *words = sys.argv[1:]
    witness = Witness(Path(path), LEAK in os.environ)
    witness.watch_resources()
    if program == "auror_client":
        witness.watch_secrets()
        witness.watch_updates()
    sys.argv = [program, *words]
    runpy.run_module(f"{program}.cli", run_name="__main__")


if __name__ == "__main__":
    main()
