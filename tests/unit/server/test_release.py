"""The end of a session: who gets the final model, and how long the server waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auror_server.standing import SessionEnding
from rounds_kit import DIM
from stage import Site, Stage

from auror.deployment.model_file import read_model
from auror.errors import UntrainedError
from auror.round.description import model_digest
from auror.round.messages import FinalModel

GOODBYE = "GOODBYE_REASON_FINISHED"


def ended(
    folder: Path,
    before: Callable[[Stage], Any] = lambda stage: None,
    **settings: Any,
) -> Stage:
    """A session of one round with everybody connected; ``before`` it, something is arranged."""

    async def scene() -> Stage:
        stage = Stage(folder, rounds=1, **settings)
        for site in stage.sites:
            site.connect()
        before(stage)
        assert await stage.run() is SessionEnding.FINISHED
        return stage

    return asyncio.run(scene())


def at_the_end(site: Site, what: Callable[[], Any], of: str = "FinalModel") -> None:
    """Let ``what`` happen when ``site`` has got its first message ``of`` that kind."""

    def told(kind: str) -> None:
        site.told.append(kind)
        if kind == of:
            site.on_told = site.told.append
            what()

    site.on_told = told


def test_everybody_gets_the_model_then_the_goodbye(tmp_path: Path) -> None:
    stage = ended(tmp_path)
    for site in stage.sites:
        assert site.told[-3:] == ["RoundEnd", "FinalModel", GOODBYE]
    assert stage.elapsed == 0.0
    final = stage.campaign.final_model()
    assert isinstance(final, FinalModel)
    assert (final.era, final.step) == (0, 1)
    assert final.parent == model_digest(stage.house.model(0))
    assert final.digest == model_digest(final.model)
    assert np.array_equal(final.model, read_model(tmp_path / "model.safetensors"))
    assert final.model.shape == (DIM,)


def test_a_policy_that_keeps_the_model_back(tmp_path: Path) -> None:
    def close(stage: Stage) -> None:
        closed = replace(stage.campaign.policy, release_model=False)
        at_the_end(stage.sites[0], lambda: setattr(stage.campaign, "policy", closed), "RoundStart")

    stage = ended(tmp_path, close)
    assert stage.campaign.state.models.trained
    assert stage.campaign.final_model() is None
    assert all(site.told[-2:] == ["RoundEnd", GOODBYE] for site in stage.sites)


def test_a_model_that_nobody_trained_is_not_given(tmp_path: Path) -> None:
    async def scene() -> Stage:
        stage = Stage(tmp_path, rounds=1, phase_deadline_s=10, max_aborted=1)
        assert stage.campaign.final_model() is None
        for site in stage.sites:
            site.connect()
            site.silent = site.client < 4
        with pytest.raises(UntrainedError):
            await stage.run()
        return stage

    stage = asyncio.run(scene())
    assert stage.campaign.final_model() is None
    assert stage.sites[6].told[-2:] == ["RoundEnd", "GOODBYE_REASON_STOPPED"]
    assert not (tmp_path / "model.safetensors").exists()


def test_who_lost_it_half_way_may_come_back_for_it(tmp_path: Path) -> None:
    def cut(stage: Stage) -> None:
        site = stage.sites[2]
        at_the_end(site, site.leave)
        stage.at(3.0, site.connect)

    stage = ended(tmp_path, cut, reconnect_grace_s=5)
    assert stage.sites[2].told[-3:] == ["FinalModel", "FinalModel", GOODBYE]
    assert stage.elapsed == 3.0


def test_nobody_waits_beyond_the_grace(tmp_path: Path) -> None:
    def cut(stage: Stage) -> None:
        at_the_end(stage.sites[2], stage.sites[2].leave)
        stage.at(9.0, stage.sites[2].connect)

    stage = ended(tmp_path, cut, reconnect_grace_s=5)
    assert stage.elapsed == 5.0
    assert stage.sites[2].told[-1] == "FinalModel"


def test_who_never_reads_to_the_end_holds_it_up_for_a_phase_at_most(tmp_path: Path) -> None:
    def hang(stage: Stage) -> None:
        site = stage.sites[2]

        async def nothing() -> bool:
            return False

        at_the_end(stage.sites[1], lambda: setattr(site, "play", nothing))

    stage = ended(tmp_path, hang, phase_deadline_s=20)
    assert stage.elapsed == 20.0


def test_who_comes_late_gets_it_too(tmp_path: Path) -> None:
    def late(stage: Stage) -> None:
        site = stage.sites[6]
        site.leave()
        at_the_end(stage.sites[1], stage.sites[1].leave)  # the server stays for this one
        stage.at(2.0, site.connect)
        stage.at(2.5, stage.sites[1].connect)

    stage = ended(tmp_path, late, min_clients=6, reconnect_grace_s=4)
    assert stage.sites[6].told == ["FinalModel", GOODBYE]


def test_a_stop_ends_the_wait(tmp_path: Path) -> None:
    def cut(stage: Stage) -> None:
        at_the_end(stage.sites[2], stage.sites[2].leave)
        stage.at(1.0, stage.session.stop)

    stage = ended(tmp_path, cut, reconnect_grace_s=50)
    assert stage.elapsed == 1.0
