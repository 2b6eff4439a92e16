"""Every pair of ways in which a client's link fails, in every phase, on a clock of the test."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from auror_server.standing import SessionEnding
from stage import Site, Stage

from auror.wire.alive import SILENT_SECONDS

PHASES = (
    "RoundStart",
    "KeyList",
    "ShareDelivery",
    "DealerList",
    "UploadList",
    "ConsistencyList",
    "RandomnessList",
    "AcceptedSet",
    "AgreementList",
)
"""What a client is told when a phase begins."""
KINDS = ("drop", "duplicate", "cut 5", "cut 30", "cut 120", "half-open")
ROUNDS, RETRY_S = 2, 0.3


class FailingLink:
    """Of ``site``: fails in the ways of ``pair``, one after the other, from ``phase`` on."""

    def __init__(self, stage: Stage, site: Site, phase: str, pair: tuple[str, str]) -> None:
        self._stage, self._site, self._phase = stage, site, phase
        self._left = list(pair)
        self.back: int | None = None
        """How much the client had been told when its link was back for good."""
        site.on_told = self._told

    def _told(self, kind: str) -> None:
        self._site.told.append(kind)
        if kind == self._phase and len(self._left) == 2:
            self._fail()

    def _fail(self) -> None:
        if not self._left:
            self.back = len(self._site.told)
            return
        kind, site = self._left.pop(0), self._site
        match kind.split():
            case ["drop"]:
                site.leave()
                self._away(RETRY_S)
            case ["duplicate"]:  # a second stream, while the server has not lost the first
                self._later(SILENT_SECONDS, site.abandon())
                site.connect()
                self._fail()
            case ["cut", seconds]:
                site.leave()
                self._away(float(seconds) + RETRY_S)
            case _:  # both ends notice it, each for itself
                lost = site.abandon()
                self._later(SILENT_SECONDS, lost)
                self._away(SILENT_SECONDS + RETRY_S)

    def _away(self, seconds: float) -> None:
        self._site.silent = True
        self._later(seconds, self._returns)

    def _returns(self) -> None:
        self._site.silent = False
        self._site.connect()
        self._fail()

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self._stage.at(self._stage.elapsed + seconds, what)


async def scene(folder: Path, phase: str, pair: tuple[str, str]) -> None:
    folder.mkdir()
    stage = Stage(folder, rounds=ROUNDS)
    for site in stage.sites:
        site.connect()
    victim = stage.sites[3]
    link = FailingLink(stage, victim, phase, pair)
    assert await stage.run() is SessionEnding.FINISHED
    lines = stage.rounds
    assert len([line for line in lines if line["aborted"] is None]) == ROUNDS
    assert max(Counter(line["round_id"]["counter"] for line in lines).values()) == 1
    for line in lines:
        assert len(set(line["accepted"])) == len(line["accepted"])
        assert set(line["accepted"]) <= set(line["cohort"])
        assert set(line["dropped"]) <= {"3"}  # nobody but who failed costs anything
    if link.back is not None:  # it is told something as soon as it is back
        assert victim.told[link.back :], pair


PAIRS = tuple(itertools.product(KINDS, KINDS))


@pytest.mark.parametrize("phase", PHASES)
def test_nothing_is_counted_twice_and_who_is_back_is_told(tmp_path: Path, phase: str) -> None:
    """Every pair in some phase."""
    for pair in PAIRS[PHASES.index(phase) :: len(PHASES)]:
        asyncio.run(scene(tmp_path / "-".join(pair), phase, pair))


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_every_pair_in_every_phase(tmp_path: Path, phase: str) -> None:
    for pair in PAIRS:
        asyncio.run(scene(tmp_path / "-".join(pair), phase, pair))
