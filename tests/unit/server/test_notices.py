"""Who is told of an exclusion, what the log says, and who is waited for no more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from auror_server.connections import Connections
from auror_server.notices import Notices
from stage import Stage, invitations

from auror.errors import Refusal
from auror.ids import ClientId
from auror.round.messages import Exclusion, ExclusionCause, Withdraw

FLAG = Exclusion(ExclusionCause.FLAG, 4, 9, 12.0, 8.0, rounds=14, audits=3)


def test_the_excluded_client_alone_is_told_and_once_per_stream(tmp_path: Path) -> None:
    async def scene() -> Stage:
        stage = Stage(tmp_path, rounds=3, reconnect_grace_s=5)
        for site in stage.sites:
            site.connect()
        excluded, slow = stage.sites[3], stage.sites[0]
        told = excluded.on_told

        def flagged(kind: str) -> None:  # in round 0
            told(kind)
            if kind == "DealerList":
                stage.campaign.state.exclusions[excluded.client] = FLAG
                stage.campaign.state.confirmation.flagged[excluded.client] = 0
                slow.silent_in = {1}

        excluded.on_told = flagged

        def again() -> None:
            excluded.leave()
            excluded.connect()

        stage.at(3.0, again)
        await stage.run()
        return stage

    stage = asyncio.run(scene())
    excluded = stage.sites[3]
    assert invitations(excluded) == 1
    assert excluded.told[-4:] == ["Exclusion", "Exclusion", "FinalModel", "GOODBYE_REASON_FINISHED"]
    assert excluded.told.count("Exclusion") == 2
    others = [site for site in stage.sites if site is not excluded]
    assert all("Exclusion" not in site.told for site in others)


def test_flags_and_restarts_are_events_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    exclusions = {ClientId(1): FLAG}
    notices = Notices(exclusions, Connections([], 0.0), 0)
    notices.say(7)
    assert capsys.readouterr().out == ""  # said before this process
    exclusions[ClientId(3)] = FLAG
    exclusions[ClientId(5)] = Exclusion(ExclusionCause.PROOF)
    notices.say(8)
    notices.say(9)
    flag, proof = sorted(capsys.readouterr().out.splitlines(), key=lambda line: "proven" in line)
    assert "warning" in flag
    for part in ("client flagged", "client=3", "index=8", "source=4", "target=9", "strength=12.0"):
        assert part in flag
    assert "client proven to have lied" in proof
    assert "strength" not in proof
    notices.begins(0)
    notices.begins(1)
    notices.begins(1)
    (restart,) = capsys.readouterr().out.splitlines()
    assert "training restarts" in restart
    assert "without=[1, 3, 5]" in restart


@pytest.mark.parametrize("mended", [False, True])
def test_who_withdraws_for_good_is_invited_no_more_until_it_comes_back(
    tmp_path: Path, mended: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scene() -> Stage:
        stage = Stage(tmp_path, rounds=4, phase_deadline_s=20)
        for site in stage.sites:
            site.connect()
        broken = stage.sites[2]
        broken.withdraws = {0: Refusal.DATA_UNUSABLE}
        if mended:
            first = stage.sites[0]
            told = first.on_told

            def look(kind: str) -> None:
                told(kind)
                if kind == "RoundEnd" and told.__self__.count("RoundEnd") == 2:
                    broken.leave()
                    broken.connect()

            first.on_told = look
        await stage.run()
        return stage

    stage = asyncio.run(scene())
    broken = stage.sites[2]
    assert invitations(broken) == (2 if mended else 1)
    assert stage.elapsed == 0.0  # nobody waited for it
    assert stage.rounds[0]["withdrawn"] == {"2": "DATA_UNUSABLE"}
    assert stage.rounds[0]["dropped"] == {"2": "REFUSED"}
    assert [2 in line["accepted"] for line in stage.rounds] == [False, False, False, mended]
    said = [line for line in capsys.readouterr().out.splitlines() if "client withdrew" in line]
    assert len(said) == 1
    assert all(part in said[0] for part in ("client=2", "reason=DATA_UNUSABLE", "final=True"))


def test_a_refusal_of_one_round_costs_the_next_invitation_to_nobody(tmp_path: Path) -> None:
    async def scene() -> Stage:
        stage = Stage(tmp_path, rounds=2)
        for site in stage.sites:
            site.connect()
        stage.sites[2].withdraws = {0: Refusal.COHORT_TOO_SMALL}
        await stage.run()
        return stage

    stage = asyncio.run(scene())
    assert invitations(stage.sites[2]) == 2
    assert [2 in line["accepted"] for line in stage.rounds] == [False, True]
    assert Withdraw(Refusal.COHORT_TOO_SMALL).reason.is_final is False
