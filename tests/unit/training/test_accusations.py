"""From accusation to flag in whole rounds: audits that leave suspects out, and their checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from campaign_kit import Run, Scripted
from rounds_kit import play

from auror.errors import AbortReason
from auror.ids import ClientId
from auror.round.messages import (
    MaskedStatistics,
)
from auror.training.config import AfterFlag


def test_a_suspect_is_flagged_by_rounds_that_pass_without_its_group() -> None:
    run = Run(rounds=5, flags={1: {4}}, after_flag=AfterFlag.CONTINUE)
    first, *audited, last = run.to_the_end()
    assert not first.left_out
    for record, end in zip(audited, run.ends[1:4], strict=True):
        group = next(k for k, members in enumerate(record.groups) if 4 in members)
        assert record.left_out == {group: "suspected: 4"}
        assert record.audited == (group,)
        assert end.audited == tuple(sorted(record.groups[group]))
        assert set(record.accepted) == set(range(9)) - set(record.groups[group])
    assert [record.flagged for record in audited] == [(), (), (4,)]
    assert [end.flagged for end in run.ends] == [(), (), (), (4,), ()]
    assert 4 not in last.cohort
    assert not last.left_out
    assert run.campaign.next_round() is None
    bound = [{c for o in r.groups for c in o.members} for r in run.campaign.ledger.rounds]
    assert bound[1] == set(audited[0].accepted)  # unbound statistics are no evidence


def test_a_suspect_that_is_cleared_for_a_round_keeps_what_it_passed() -> None:
    run = Run(rounds=8, after_flag=AfterFlag.CONTINUE)
    accused = {1, 2, 4}  # after so many bound rounds
    run.campaign.defence.detector = lambda ledger, roster: Scripted(
        {0: {4} if len(ledger.rounds) in accused else ()}
    )(ledger, roster)
    assert [record.flagged for record in run.to_the_end()] == [()] * 4 + [(4,)] + [()] * 3


def test_an_absent_suspect_is_not_flagged_by_rounds_without_it() -> None:
    run = Run(rounds=7, flags={1: {4}}, after_flag=AfterFlag.CONTINUE)
    run.round()
    without_it = [ClientId(c) for c in range(9) if c != 4]
    for _ in range(3):
        start = run.campaign.next_round(without_it)
        played = play(run.deployment, start=start, decide=run.campaign.decide)
        _end, record = run.campaign.finish(played.server.summary, played.total, played.aborted)
        assert record.aborted is None
        assert not record.flagged
    assert [run.round().flagged for _ in range(3)] == [(), (), (4,)]


def test_who_is_framed_is_not_flagged_while_lies_last_nor_by_them_afterwards() -> None:
    """Everybody else moves statistics, whatever the groups: the sum over all stays what it was,
    that without the victim's group does not. Then evidence from before counts no more."""
    victim, moves = 4, (1, 2, 4, 8, 0, 16, 32, 64, 2**64 - 127)

    def framing(client: ClientId, message: Any) -> Any:
        if isinstance(message, MaskedStatistics):
            words = np.frombuffer(message.payload, dtype="<u8").copy()
            words[:1] += np.uint64(moves[client])
            return replace(message, payload=words.tobytes())
        return message

    run = Run(rounds=30, flags={3: {victim}}, after_flag=AfterFlag.CONTINUE)
    assert [run.round(framing).aborted for _ in range(3)] == [None] * 3
    failed = run.round(framing)
    assert failed.aborted is AbortReason.BINDING_FAILED
    assert failed.left_out.keys() == {k for k, g in enumerate(failed.groups) if victim in g}
    assert not failed.flagged
    # The liars have learnt. The detector goes by all that was bound; the campaign does not.
    honest = [run.round() for _ in range(3)]
    assert run.campaign.verdict is not None
    assert run.campaign.verdict.flagged == {victim}
    assert not any(record.flagged or record.left_out for record in honest)
    # Three rounds were bound since: if these accuse too, and pass, the flag falls.
    assert [run.round().flagged for _ in range(3)] == [(), (), (victim,)]


def test_whom_the_closing_verdict_accuses_the_second_training_confirms() -> None:
    run = Run(rounds=4, flags={4: {6}})
    records = run.to_the_end()
    assert len(records) == 8
    assert [r.flagged for r in records] == [()] * 6 + [(6,), ()]
    assert all(6 not in r.accepted for r in records[4:])
    assert 6 not in records[-1].cohort


def test_undefended_run_ignores_verdicts() -> None:
    run = Run(flags={1: {4}}, defend=False)
    assert all(len(r.accepted) == 9 for r in run.to_the_end())
    assert len(run.records) == 3
    assert not run.campaign.flagged


def test_an_audit_leaves_out_one_whole_group_and_everybody_is_told() -> None:
    run = Run(rounds=1, params={"audit_probability": 0.999999})
    record = run.round()
    (audited,) = record.audited
    assert record.left_out == {audited: "random audit"}
    assert set(record.groups[audited]).isdisjoint(record.accepted)
    assert run.ends[0].audited == tuple(sorted(record.groups[audited]))


def test_no_audit_when_the_total_cannot_spare_a_group() -> None:
    few = {"audit_probability": 0.999999, "min_accepted_groups": 3}
    record = Run(rounds=1, params=few).round()
    assert record.audited == ()
    assert len(record.accepted) == 9


def test_evidence_moved_between_groups_passes_the_sum_but_not_an_audit() -> None:
    """Two colluders shift evidence from one's statistics to the other's: no sum over both
    groups notices; a total without one of the groups does, and marks both."""

    def shifting(client: ClientId, message: Any) -> Any:
        if client in (2, 5) and isinstance(message, MaskedStatistics):
            words = np.frombuffer(message.payload, dtype="<u8").copy()
            words[:1] += np.uint64(900 if client == 2 else 2**64 - 900)
            return replace(message, payload=words.tobytes())
        return message

    quiet = Run(rounds=6)
    assert all(quiet.round(shifting).aborted is None for _ in range(6))

    caught = []
    audited = Run(rounds=12, params={"audit_probability": 0.999999})
    for _ in range(12):
        record = audited.round(shifting)
        if record is None or not record.accepted:
            continue
        one_side = len({2, 5} & set(record.accepted)) == 1
        assert (record.aborted is AbortReason.BINDING_FAILED) == one_side
        caught += [record] if one_side else []
    assert caught
    assert all({2, 5} & set(mark.clients) for record in caught for mark in record.marks)
