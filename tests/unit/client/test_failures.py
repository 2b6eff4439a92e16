"""A client that cannot go on: the others are told at once, its user in one line, and it ends."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace
from pathlib import Path

import pytest
from auror_client.failures import failure_of
from auror_client.journal import Journal
from line import Bench, played

from auror.errors import ConfigError, DataError, MachineError, Refusal
from auror.round.client.memory import ClientMemory
from auror.round.messages import AdvertisedKeys, Withdraw

OutOfMemoryError = type("OutOfMemoryError", (RuntimeError,), {})  # as torch names its own


@pytest.mark.parametrize(
    ("error", "refusal", "code", "says"),
    [
        (DataError("no such file"), Refusal.DATA_UNUSABLE, 4, "no such file"),
        (MemoryError(), Refusal.OUT_OF_MEMORY, 11, "too little memory for this model"),
        (OutOfMemoryError("CUDA out of memory"), Refusal.OUT_OF_MEMORY, 11, "CUDA out of memory"),
        (RuntimeError("CUDA error: unspecified\nmore"), Refusal.DEVICE_FAILED, 11, "unspecified)"),
        (OSError(errno.ENOSPC, "No space left"), Refusal.STATE_UNWRITABLE, 11, "No space left"),
        (ConfigError("another task"), Refusal.TRAINING_FAILED, 2, "another task"),
        (ValueError("of one's own code"), Refusal.TRAINING_FAILED, None, "of one's own code"),
        (RuntimeError("shapes differ"), Refusal.TRAINING_FAILED, None, "shapes differ"),
    ],
)
def test_every_failure_has_a_class_and_a_line(
    error: Exception, refusal: Refusal, code: int | None, says: str
) -> None:
    found, said = failure_of(error)
    assert found is refusal
    assert found.is_final
    assert getattr(said, "exit_code", None) == code
    assert says in str(said)
    assert "\n" not in str(said)


def test_a_training_that_fails_withdraws_before_the_client_ends(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        line = bench.line()
        running = asyncio.create_task(bench.session.run())
        start = bench.invite(line)
        await bench.trainings.begun(1)
        bench.trainings.asked[0][0].set_exception(MemoryError())
        with pytest.raises(MachineError, match="too little memory"):
            await running
        assert isinstance((await line.said())[1], AdvertisedKeys)
        assert await line.said() == (
            start.description.round_id,
            Withdraw(Refusal.OUT_OF_MEMORY),
        )
        assert line.finished
        assert len(bench.network.tried) == 1

    played(tmp_path, scene)


def test_what_it_cannot_remember_it_does_not_say_and_the_others_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(journal: Journal, memory: ClientMemory) -> None:
        raise MachineError("client.state: the disk is full")

    async def scene(bench: Bench) -> None:
        monkeypatch.setattr(Journal, "save", full)
        line = bench.line()
        bench.invite(line)
        with pytest.raises(MachineError, match="the disk is full"):
            await bench.session.run()
        assert (await line.said())[1] == Withdraw(Refusal.STATE_UNWRITABLE)
        assert line.quiet

    played(tmp_path, scene)


def test_a_refusal_that_holds_for_every_round_ends_the_client_at_once(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        line, house = bench.line(), bench.house
        start = house.start()
        other = replace(start.description, policy_version=2)
        line.tell(other.round_id, replace(start, description=other))
        with pytest.raises(ConfigError, match=r"version 2, here 1.* copy the newest policy"):
            await bench.session.run()
        assert (await line.said())[1] == Withdraw(Refusal.WRONG_POLICY)
        assert line.finished
        assert bench.clock.pauses == []

    played(tmp_path, scene)


def test_a_refusal_of_one_round_does_not_end_it(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        line, house = bench.line(), bench.house
        small = house.start(cohort=house.everybody[:3])
        line.tell(small.description.round_id, small)
        running = asyncio.create_task(bench.session.run())
        assert (await line.said())[1] == Withdraw(Refusal.COHORT_TOO_SMALL)
        bench.invite(line, 1)
        assert isinstance((await line.said())[1], AdvertisedKeys)
        line.goodbye()
        await running

    played(tmp_path, scene)
