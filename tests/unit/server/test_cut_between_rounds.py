"""A link that breaks while the server prepares a round."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from auror_server.standing import SessionEnding
from stage import Stage

from auror.round.past import Past


@pytest.mark.parametrize("lost", [7, 4])
def test_who_is_lost_while_a_round_is_prepared_is_invited(tmp_path: Path, lost: int) -> None:
    """All of them, so that no round could begin; or so many that the others would refuse it."""

    async def scene() -> Stage:
        stage = Stage(tmp_path, rounds=2)
        for site in stage.sites:
            site.connect()
        follow = stage.campaign.follow

        def cut(past: Past) -> bool:
            if stage.campaign.state.index == 1 and not stage.elapsed:
                stage.time += 0.5
                for site in stage.sites[:lost]:
                    site.leave()
                    stage.at(1.0, site.connect)
            return follow(past)

        stage.campaign.follow = cut  # type: ignore[method-assign]
        assert await stage.run() is SessionEnding.FINISHED
        return stage

    stage = asyncio.run(scene())
    assert [line["accepted"] for line in stage.rounds] == [list(range(7))] * 2
    assert [line["dropped"] for line in stage.rounds] == [{}] * 2
    assert stage.elapsed == 1.0
