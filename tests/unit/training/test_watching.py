"""When a training opens label rows for certain, and when a draw decides."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from campaign_kit import Run
from numpy.typing import NDArray
from rounds_kit import BUDGET

from auror.errors import AbortReason
from auror.ids import ClientId
from auror.round.messages import Consistency
from auror.round.watch import Watch
from auror.training.watching import Occasion, Watching

MOST = 6
NEVER = 1e-12


def run(rounds: int, flags: dict[int, set[int]] | None = None, **more: Any) -> Run:
    rate = more.pop("rate", NEVER)
    return Run(
        rounds,
        flags,
        params={"watch_rate": rate},
        budget=replace(BUDGET, max_watched=more.pop("most", MOST)),
        **more,
    )


def declared(made: Run) -> list[Watch]:
    return [record.watch for record in made.records]


def test_thrift_begins_when_everybody_is_cleared_and_the_ledger_stays_as_it_is() -> None:
    made = run(5, cleared_after=2)
    made.to_the_end()
    assert declared(made) == [Watch.ALWAYS] * 2 + [Watch.DRAWN] * 3
    assert [record.watched for record in made.records] == [True] * 2 + [False] * 3
    assert [entry.round_index for entry in made.campaign.ledger.rounds] == [0, 1]
    assert all(record.total_opened for record in made.records)
    assert {len(g.total) for r in made.records[2:] for g in r.opened} == {0}


def test_clients_and_server_count_alike_so_nobody_refuses_whatever_the_verdict_says() -> None:
    """Nobody is ever cleared: after the policy's rounds the draw decides."""
    made = run(MOST + 3)
    made.to_the_end()
    assert declared(made) == [Watch.ALWAYS] * MOST + [Watch.DRAWN] * 3
    assert not any(record.dropped for record in made.records)


def test_a_round_that_fails_after_the_upload_counts_and_one_before_does_not() -> None:
    made = run(MOST + 3)
    for _ in range(2):
        record = made.round(lambda _c, m: None if isinstance(m, Consistency) else m)
        assert record.aborted is AbortReason.TOO_FEW_CONSISTENT
    assert made.campaign.state.watching.attempts == 2
    made.to_the_end()
    assert declared(made).count(Watch.ALWAYS) == MOST
    assert not any(made.records[k].dropped for k in range(2, len(made.records)))


def test_an_accusation_ends_the_thrift_until_it_is_confirmed() -> None:
    """Everybody is cleared after two rounds; from the fourth bound round on 4 is accused."""
    made = run(12, {4: {4}}, cleared_after=2, rate=1 - 1e-9, most=20, after_flag="continue")
    made.to_the_end()
    watch = declared(made)
    assert watch[:4] == [Watch.ALWAYS] * 2 + [Watch.DRAWN] * 2
    flag = next(k for k, record in enumerate(made.records) if record.flagged)
    assert watch[4 : flag + 1] == [Watch.ALWAYS] * (flag - 3)
    assert watch[flag + 1 :] == [Watch.DRAWN] * (len(watch) - flag - 1)


def test_totals_that_change_end_the_thrift_until_a_late_window_would_show_why() -> None:
    made = run(30, cleared_after=2, most=40)
    for _ in range(5):
        made.round()
    made.campaign.state.doubt.since = 4
    made.to_the_end()
    assert declared(made) == [Watch.ALWAYS] * 2 + [Watch.DRAWN] * 3 + [
        *[Watch.ALWAYS] * 16,
        *[Watch.DRAWN] * 9,
    ]


def test_the_defence_hears_of_every_totals_step(monkeypatch: pytest.MonkeyPatch) -> None:
    made, steps = run(3), []
    bound = made.campaign.defence.bound

    def hear(*told: Any, step: NDArray[np.float64] | None = None, **more: Any) -> Any:
        steps.append(step)
        return bound(*told, step=step, **more)

    monkeypatch.setattr(made.campaign.defence, "bound", hear)
    for _ in range(3):
        before = made.campaign.state.models.model
        made.round()
        after = made.campaign.state.models.model
        np.testing.assert_allclose(before + steps[-1], after, atol=1e-6)
    assert len(steps) == 3


def test_a_flag_gives_as_many_rounds_again() -> None:
    made = run(16, {2: {4}}, most=6, after_flag="continue")
    made.to_the_end()
    flag = next(k for k, record in enumerate(made.records) if record.flagged)
    assert declared(made)[: flag + 7] == [Watch.ALWAYS] * (flag + 7)
    assert set(declared(made)[flag + 7 :]) == {Watch.DRAWN}
    assert not any(record.dropped for record in made.records)


def test_nobody_is_tested_where_nothing_is_watched() -> None:
    """A round that opens no evidence cannot confirm any."""
    made = run(9, {2: {4}}, most=2, after_flag="continue")
    made.to_the_end()
    assert declared(made)[2:] == [Watch.DRAWN] * 7
    assert not made.campaign.flagged
    assert not any(record.audited for record in made.records[2:])


def test_where_every_round_is_watched_no_round_is_drawn() -> None:
    made = run(5, cleared_after=1, rate=1.0, most=2)
    made.to_the_end()
    assert declared(made) == [Watch.ALWAYS] * 5


MORE = Occasion(1, 0, (ClientId(4), ClientId(5)))


@pytest.mark.parametrize(
    "other",
    [
        Occasion(2, 0, (ClientId(4),)),
        Occasion(1, 1, (ClientId(4),)),
        MORE,
    ],
)
def test_a_count_belongs_to_its_occasion_and_survives_a_checkpoint(other: Occasion) -> None:
    occasion = Occasion(1, 0, (ClientId(4),))
    watching = Watching()
    for attempted, watched in ((True, True), (True, False), (False, True), (True, True)):
        watching.book(occasion, attempted=attempted, watched=watched)
    kept = Watching.from_dict(json.loads(json.dumps(watching.to_dict())))
    assert kept == watching
    assert (kept.attempts_on(occasion), kept.attempts_on(other)) == (2, 0)
    kept.book(other, attempted=True, watched=True)
    assert (kept.attempts_on(occasion), kept.attempts_on(other)) == (int(other == MORE), 1)


def test_who_is_flagged_and_revoked_begins_no_new_count() -> None:
    """As clients count: they do not see the flags become more."""
    watching = Watching()
    watching.book(MORE, attempted=True, watched=True)
    assert watching.attempts_on(Occasion(1, 0, (ClientId(4),))) == 1
