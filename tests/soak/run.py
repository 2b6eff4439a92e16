"""``make soak``: real processes for ten minutes, with kills and dropped connections.

    python tests/soak/run.py --seconds 600 --out soak

Writes soak.json, soak.md, soak.svg and samples.csv into the folder. Exit code 1: a bound is missed;
the page names it. With ``--draw`` it only makes page and plot from soak.json again.

Five parts follow each other: quiet; all faults; quiet, the server having been killed for the last
time; faults of clients and connections; quiet. A slow machine stays in the fourth until there are
rounds enough, or ``--most`` seconds are over. Growth is told from every process that lived for
180 rounds, descriptors and tasks from those that saw a quiet part before and the last one.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS), str(_TESTS / "integration")]

import canaries  # noqa: E402
import figures  # noqa: E402
import numpy as np  # noqa: E402
import page  # noqa: E402
from house import SERVER, House  # noqa: E402

PARTS = (0.08, 0.25, 0.10, 0.47, 0.10)
"""Of the time: quiet, all faults, quiet, faults without kills of the server, quiet."""
CLIENT_KILL, CUT, CUT_ALL, SERVER_KILL = 15.0, 6.0, 60.0, 35.0
"""Mean seconds between faults of a kind."""
SPARED = 3
"""One process of clients in so many is never killed: its life is the whole soak."""
_POLL = 0.1
_CRASHES = 2
_SAY_SECONDS = 15
_SPARE_ROUNDS = 5


class Faults:
    """Draws what happens when."""

    def __init__(self, house: House, seed: int) -> None:
        self._house, self._rng = house, np.random.default_rng(seed)
        self.counts = {"client kills": 0, "server kills": 0, "dropped connections": 0}

    def step(self, seconds: float, server: bool) -> None:
        """What happens within ``seconds``; ``server``: it may be killed too."""

        def happens(mean: float) -> bool:
            return bool(self._rng.random() < seconds / mean)

        if happens(CLIENT_KILL):
            number = int(self._rng.integers(len(self._house.names)))
            if number % SPARED:
                self._again(self._house.names[number], "client kills")
        if happens(CUT):
            only = int(self._rng.integers(1 << 30))
            self.counts["dropped connections"] += self._house.proxy.cut(only)
        if happens(CUT_ALL):
            self.counts["dropped connections"] += self._house.proxy.cut()
        if server and happens(SERVER_KILL):
            self.kill_server()

    def kill_server(self) -> None:
        self._again(SERVER, "server kills")

    def _again(self, name: str, count: str) -> None:
        if name in self._house.running:  # a server that ended by itself is noted, then restarted
            self._house.kill(name)
            self._house.start(name)
            self.counts[count] += 1


class Play:
    """The parts, one after the other."""

    def __init__(self, house: House, options: argparse.Namespace) -> None:
        self._house, self._options = house, options
        self.faults = Faults(house, options.seed)
        self.clock: list[tuple[float, int]] = []
        """(monotonic seconds, rounds closed by then)."""
        self.edges: list[float] = []
        """When each part began, and when the last one ended."""
        self.database: list[tuple[int, int]] = []
        """(rounds closed, bytes of the database)."""
        self._said = 0.0

    def run(self) -> None:
        seconds, most = self._options.seconds, self._options.most
        began = last = time.monotonic()
        for part, share in enumerate(PARTS):
            self.edges.append(time.monotonic())
            if part == 2:
                self.faults.kill_server()
            end = self.edges[-1] + seconds * share
            while (now := time.monotonic()) < end or (
                part == 3 and self.clock[-1][1] < self._enough() and now < began + most
            ):
                if part in (1, 3):
                    self.faults.step(min(now - last, 1.0), server=part == 1)
                last = now
                self._look(part, now)
                time.sleep(_POLL)
        self.edges.append(time.monotonic())
        self._look(len(PARTS), self.edges[-1] + 1)

    def _enough(self) -> int:
        """Rounds closed after which enough have a total, whatever the last few become."""
        return figures.FEWEST_ROUNDS + self._house.without_total() + _SPARE_ROUNDS

    def _look(self, part: int, now: float) -> None:
        """Once in a second."""
        if self.clock and now - self.clock[-1][0] < 1:
            return
        self._house.look()
        self.clock.append((now, self._house.closed()))
        self.database.append((self.clock[-1][1], self._house.database_bytes()))
        if now - self._said >= _SAY_SECONDS:
            self._said = now
            seen = [(kind, self._house.last(name)) for kind, name in self._shown()]
            print(
                f"{now - self.edges[0]:4.0f} s, part {min(part + 1, len(PARTS))} of {len(PARTS)},"
                f" {self.clock[-1][1]} rounds; "
                + "; ".join(
                    f"{kind}: {one.rss / 1e6:.0f} MB, {one.files} descriptors, {one.tasks} tasks,"
                    f" {one.threads} threads"
                    for kind, one in seen
                    if one is not None
                )
                + "; "
                + ", ".join(f"{count} {kind}" for kind, count in self.faults.counts.items()),
                flush=True,
            )

    def _shown(self) -> list[tuple[str, str]]:
        return [("server", SERVER), ("first clients", self._house.names[0])]


def soak(options: argparse.Namespace, folder: Path) -> figures.Json:
    """Run it in ``folder``."""
    with House(folder, options.clients, options.together, options.dim) as house:
        for name in (SERVER, *house.names):
            house.start(name)
        while house.closed() < 3:
            house.look()
            time.sleep(1)
        play, before = Play(house, options), os.getloadavg()[0]
        play.run()
        crashed = house.names[:_CRASHES]
        cores = sum(house.crash(name) for name in crashed)
        house.ask("status", "auror.cli", "status", folder / "run", "--format", "json")
        house.stop()
        print("stopped; totals, audit and the search for secrets", flush=True)
        house.ask(
            "account", "auror_client.cli", "--account", "--clients", f"0-{options.clients - 1}",
            "--credentials", folder / "certs" / "clients", "--state", folder / "state",
        )  # fmt: skip
        audit = house.ask("audit", "auror.cli", "audit", "verify", folder / "run")
        lives = _lives(house, play.clock)
        _table(options.out / "samples.csv", play.clock, lives)
        return {
            "seed": options.seed, "clients": options.clients, "dim": options.dim,
            "processes": len(house.names), "seconds": play.edges[-1] - play.edges[0],
            "load": [round(one, 1) for one in (before, os.getloadavg()[1])],
            "faults": play.faults.counts, "rounds": house.rounds(), "probed": house.probed,
            **_resources(play, lives), "database": figures.database(play.database),
            "secrets": _secrets(folder), "crashed": len(crashed), "cores": cores,
            "ended": house.ended, "tracebacks": house.tracebacks(), "audit": audit,
        }  # fmt: skip


Lives = list[tuple[str, int, list[figures.Sample]]]


def _lives(house: House, clock: list[tuple[float, int]]) -> Lives:
    """(name, process id, samples within the parts) of every process."""
    found = []
    for name, pid in house.lives:
        samples = house.samples(name, pid)
        samples = [one for one in samples if clock[0][0] <= one.at <= clock[-1][0]]
        if samples:
            found.append((name, pid, samples))
    return found


def _table(path: Path, clock: list[tuple[float, int]], lives: Lives) -> None:
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("process", "pid", "second", "rounds", "rss", "files", "tasks", "threads"))
        for name, pid, samples in lives:
            for closed, one in zip(figures.rounds_at(clock, samples), samples, strict=True):
                second = f"{one.at - clock[0][0]:.1f}"
                told = (one.rss, one.files, one.tasks, one.threads)
                out.writerow((name, pid, second, int(closed), *told))


def _resources(play: Play, every: Lives) -> figures.Json:
    lives: dict[str, list[list[figures.Sample]]] = {"server": [], "clients": []}
    for name, _pid, samples in every:
        lives["server" if name == SERVER else "clients"].append(samples)
    # of the server's last life the quiet part in the middle, of a spared process the first one;
    # a process needs some seconds until everybody is connected
    edges, clock = play.edges, play.clock
    quiet = {
        "server": (edges[2] + (edges[3] - edges[2]) / 3, edges[3]),
        "clients": (edges[0], edges[1]),
    }
    base = {
        kind: [figures.back_to_base(one, quiet[kind], (edges[4], edges[5])) for one in some]
        for kind, some in lives.items()
    }
    grown = {kind: [figures.growth(clock, one) for one in some] for kind, some in lives.items()}
    return {
        "growth": {k: [round(v, 4) for v in some if v is not None] for k, some in grown.items()},
        "levels": {kind: figures.levels(clock, some) for kind, some in lives.items()},
        "base": {kind: [one for one in some if one] for kind, some in base.items()},
        "series": figures.series(clock, lives),
    }


def _secrets(folder: Path) -> figures.Json:
    """Search everything but where secrets belong; then plant some and search again."""
    found = canaries.of_run(folder)
    own = [folder / name for name in ("certs", "seen", "inputs")]
    hits, size = found.search(folder, own)
    planted = folder / "logs" / "planted.log"
    planted.write_bytes(b"\n".join(value.hex().encode() for value in found.some_of_each()))
    again = found.search_file(planted)
    return {
        "searched": len(found), "kinds": found.counts(), "bytes": size,
        "hits": [str(hit.path.relative_to(folder)) + f": {hit.kind}" for hit in hits],
        "planted_found": {hit.kind for hit in again} == set(found.counts()),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--most", type=float, default=1200, help="where rounds are slow")
    parser.add_argument("--clients", type=int, default=30)
    parser.add_argument("--together", type=int, default=3, help="clients per process")
    parser.add_argument("--dim", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("soak"))
    parser.add_argument("--draw", action="store_true", help="only make page and plot again")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    data = options.out / "soak.json"
    if not options.draw:
        _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))  # cores, if a program allows them
        with tempfile.TemporaryDirectory(prefix="auror-soak-") as folder:
            found = soak(options, Path(folder))
        data.write_text(json.dumps(found, indent=1) + "\n")
    found = json.loads(data.read_text())
    (options.out / "soak.md").write_text(page.page(found))
    (options.out / "soak.svg").write_text(page.plot(found))
    wrong = figures.missed(found)
    for line in wrong:
        print(f"missed: {line}")
    print(f"written: {options.out}/soak.md, soak.json, soak.svg, samples.csv")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
