"""What an operator says to a session, on a scripted clock: it counts from the next round on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from auror_server.commands import OperatorCommands
from auror_server.standing import SessionEnding
from stage import Stage, invitations

from auror.deployment.logs import configure, level
from auror.deployment.orders import ORDERS, Orders, orders_of
from auror.errors import ConfigError
from auror.ids import ClientId


def everybody(stage: Stage) -> None:
    for site in stage.sites:
        site.connect()


def paused(*excluded: int) -> Orders:
    return Orders(paused=True, excluded=frozenset(map(ClientId, excluded)))


def when_told(stage: Stage, kind: str, times: int, act: Callable[[], None]) -> None:
    """Let ``act`` happen as soon as client 0 has got ``times`` messages of ``kind``."""
    site = stage.sites[0]

    def told(each: str) -> None:
        site.told.append(each)
        if each == kind and site.told.count(kind) == times:
            act()

    site.on_told = told


def play(tmp_path: Path, script: Callable[[Stage], None], rounds: int = 3) -> tuple[Stage, Any]:
    async def scene() -> tuple[Stage, Any]:
        stage = Stage(tmp_path, rounds=rounds)
        everybody(stage)
        script(stage)
        return stage, await stage.run()

    return asyncio.run(scene())


def test_a_pause_lets_the_round_end_and_begins_none(tmp_path: Path) -> None:
    def script(stage: Stage) -> None:
        when_told(stage, "RoundStart", 1, lambda: stage.session.obey(Orders(paused=True)))
        stage.at(90, lambda: seen.append((len(stage.rounds), stage.session.standing()["activity"])))
        stage.at(100, lambda: stage.session.obey(Orders()))

    seen: list[tuple[int, str]] = []
    stage, ending = play(tmp_path, script)
    assert ending is SessionEnding.FINISHED
    assert seen == [(1, "paused by the operator")]
    assert [line["aborted"] for line in stage.rounds] == [None] * 3
    assert stage.elapsed == 100.0


def test_a_paused_start_waits_for_nobody(tmp_path: Path) -> None:
    """Longer than a server waits for clients; their time begins with the end of the pause."""

    async def scene() -> Stage:
        stage = Stage(tmp_path, rounds=1, join_timeout_s=30)
        stage.session.obey(Orders(paused=True))
        stage.at(500, lambda: stage.session.obey(Orders()))
        stage.at(525, lambda: everybody(stage))
        assert await stage.run() is SessionEnding.FINISHED
        return stage

    assert asyncio.run(scene()).elapsed == 525.0


def test_excluded_by_hand_is_invited_to_nothing_and_counts_as_missing(tmp_path: Path) -> None:
    def script(stage: Stage) -> None:
        stage.session.obey(Orders(excluded=frozenset([ClientId(2)])))

    stage, ending = play(tmp_path, script)
    assert ending is SessionEnding.FINISHED
    assert stage.elapsed == 0.0  # nobody waits for it
    for line in stage.rounds:
        assert (line["cohort"], line["by_hand"]) == ([0, 1, 3, 4, 5, 6], [2])
    assert invitations(stage.sites[2]) == 0
    assert stage.sites[2].told[-1] == "GOODBYE_REASON_FINISHED"


def test_too_many_excluded_hold_the_training_instead_of_ending_it(tmp_path: Path) -> None:
    """As after flags that came later: the operator reinstates somebody and it goes on."""

    def script(stage: Stage) -> None:
        few = stage.house.policy.fewest_present(False)
        named = frozenset(stage.house.everybody[: 7 - few + 1])
        stage.session.obey(Orders(excluded=named))
        stage.at(60, lambda: seen.append(stage.session.standing()["activity"]))
        stage.at(70, lambda: stage.session.obey(Orders()))

    seen: list[str] = []
    _stage, ending = play(tmp_path, script, rounds=1)
    assert (ending, seen) == (SessionEnding.FINISHED, ["paused by the operator"])


def test_the_round_in_progress_is_the_last(tmp_path: Path) -> None:
    def script(stage: Stage) -> None:
        when_told(stage, "RoundStart", 2, stage.session.stop_after_round)

    stage, ending = play(tmp_path, script)
    assert ending is SessionEnding.STOPPED
    assert [line["aborted"] for line in stage.rounds] == [None, None]
    assert stage.sites[0].told[-1] == "GOODBYE_REASON_STOPPED"


def test_the_last_round_of_a_training_ends_it_whatever_was_said(tmp_path: Path) -> None:
    def script(stage: Stage) -> None:
        when_told(stage, "RoundStart", 3, stage.session.stop_after_round)

    stage, ending = play(tmp_path, script)
    assert ending is SessionEnding.FINISHED
    assert len(stage.rounds) == 3
    assert stage.sites[0].told[-1] == "GOODBYE_REASON_FINISHED"


def test_without_a_round_in_progress_the_end_is_at_once(tmp_path: Path) -> None:
    def script(stage: Stage) -> None:
        stage.session.obey(Orders(paused=True))
        stage.at(10, stage.session.stop_after_round)

    stage, ending = play(tmp_path, script)
    assert (ending, stage.rounds, stage.elapsed) == (SessionEnding.STOPPED, [], 10.0)


def test_commands_are_checked_and_kept_before_they_are_granted(tmp_path: Path) -> None:
    async def scene() -> None:
        stage, stops = Stage(tmp_path), list[bool]()
        session = stage.session
        commands = OperatorCommands(tmp_path, session, stage.campaign, lambda: stops.append(True))
        said = await commands.answer({"do": "exclude", "clients": [1, 2]})
        assert said == {"paused": False, "excluded": [1, 2]}
        assert orders_of(tmp_path) == session.orders == Orders(excluded=frozenset({1, 2}))
        assert (await commands.answer({"do": "pause"}))["paused"]
        assert orders_of(tmp_path) == paused(1, 2)
        session.unwanted = frozenset([ClientId(6)])
        for wanted, says in (
            ({"do": "exclude", "clients": [3]}, "3 of 7 members would be left"),
            ({"do": "exclude", "clients": []}, "nobody is named"),
            ({"do": "exclude", "clients": [7]}, "client 7 is no member"),
            ({"do": "exclude", "clients": [True]}, "client True is no member"),
            ({"do": "exclude", "clients": "1"}, "no request that this version knows"),
            ({"do": "reinstate", "clients": [3]}, "client 3 is not excluded"),
            ({"do": "reinstate", "clients": [6]}, "`auror roster reinstate DIR 6`"),
            ({"do": "log", "level": "loud"}, "no request that this version knows"),
            ({"do": "stop"}, "no request that this version knows"),
            ("pause", "no request that this version knows"),
        ):
            with pytest.raises(ConfigError, match=says):
                await commands.answer(wanted)
        assert session.orders == paused(1, 2)
        await commands.answer({"do": "reinstate", "clients": [1]})
        await commands.answer({"do": "resume"})
        assert orders_of(tmp_path) == Orders(excluded=frozenset({2}))
        assert stops == []
        await commands.answer({"do": "stop", "after_round": False})
        assert stops == [True]

    asyncio.run(scene())


def test_nothing_is_granted_once_the_training_is_over(tmp_path: Path) -> None:
    async def scene() -> None:
        stage, ends = Stage(tmp_path, rounds=1), list[str]()
        commands = OperatorCommands(
            tmp_path,
            stage.session,
            stage.campaign,
            lambda: ends.append("stop"),
            lambda: ends.append("told"),
        )
        await commands.answer({"do": "stop", "after_round": True})
        assert ends == ["told"]  # a server that stands ends, too
        (tmp_path / "other").mkdir()
        stage = Stage(tmp_path / "other", rounds=1)
        everybody(stage)
        commands = OperatorCommands(
            tmp_path / "other", stage.session, stage.campaign, lambda: ends.append("stop")
        )
        assert await stage.run() is SessionEnding.FINISHED
        for wanted in (
            {"do": "pause"},
            {"do": "exclude", "clients": [1]},
            {"do": "stop", "after_round": True},
        ):
            with pytest.raises(ConfigError, match="the training is over, no further round begins"):
                await commands.answer(wanted)
        assert stage.session.orders == orders_of(tmp_path / "other") == Orders()
        # a pause that was said in time goes on after the last round, and can be ended
        assert not (await commands.answer({"do": "resume"}))["paused"]
        await commands.answer({"do": "stop", "after_round": False})
        assert ends == ["told", "stop"]

    asyncio.run(scene())


def test_an_ending_session_takes_no_orders(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path, rounds=3)
        commands = OperatorCommands(tmp_path, stage.session, stage.campaign, lambda: None)
        stage.session.say_goodbye(SessionEnding.STOPPED)
        with pytest.raises(ConfigError, match="the training is over"):
            await commands.answer({"do": "pause"})

    asyncio.run(scene())


def test_a_disk_that_takes_nothing_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path)
        commands = OperatorCommands(tmp_path, stage.session, stage.campaign, lambda: None)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Orders, "keep", full)
        with pytest.raises(ConfigError, match="nothing was changed"):
            await commands.answer({"do": "pause"})
        assert not stage.session.orders.paused

    asyncio.run(scene())


def test_the_log_says_as_much_as_is_asked_for(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path)
        commands = OperatorCommands(tmp_path, stage.session, stage.campaign, lambda: None)
        configure("json")
        assert await commands.answer({"do": "log", "level": None}) == {"level": "info"}
        for name in ("debug", "warning", "error", "info"):
            assert await commands.answer({"do": "log", "level": name}) == {"level": name}
            assert level() == name

    asyncio.run(scene())


@pytest.mark.parametrize(
    "raw", ["", "[]", "{}", '{"paused": 1, "excluded": []}', '{"paused": true, "excluded": ["3"]}']
)
def test_damaged_orders_are_no_orders(tmp_path: Path, raw: str) -> None:
    (tmp_path / ORDERS).write_text(raw, encoding="utf-8")
    with pytest.raises(ConfigError, match="is damaged: remove it"):
        orders_of(tmp_path)
    Orders(excluded=frozenset([ClientId(3)])).keep(tmp_path)
    assert json.loads((tmp_path / ORDERS).read_text()) == {"excluded": [3], "paused": False}
