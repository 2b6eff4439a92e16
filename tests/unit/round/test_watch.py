"""Rounds that open no label rows: drawn once U3 is fixed, the same for everybody (ADR 0022)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from inviting import described
from lying import VICTIM, exact
from rounds_kit import PARAMS, Deployment, Played, play

from auror.crypto.tags import Tag
from auror.errors import AbortReason, DropReason, Refusal
from auror.ids import ClientId
from auror.params import STATISTICS_RING_BITS, RoundParams
from auror.round.messages import AcceptedSet, MaskedStatistics, RandomnessList, Upload
from auror.round.plan import StatisticsPlan
from auror.round.public import view_digest
from auror.round.server import p3b_draw
from auror.round.server.machine import RoundServer
from auror.round.watch import Watch, is_watched, opened_plan
from auror.secagg.packing import packed_bytes
from auror.sim.seeded import seeded_bytes

NEVER = 1e-12


def nine(rate: float = NEVER, challenge_rows: int = 2) -> Deployment:
    return Deployment(9, params=replace(PARAMS, watch_rate=rate, challenge_rows=challenge_rows))


def drawn(kit: Deployment) -> Any:
    return described(kit.start(), watch=Watch.DRAWN)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5, 0.9])
def test_the_watched_part_of_drawn_rounds_is_the_rate(rate: float) -> None:
    seeds = [seeded_bytes(7, "round", k, length=32) for k in range(4000)]
    watched = sum(is_watched(Watch.DRAWN, rate, seed) for seed in seeds)
    assert abs(watched / len(seeds) - rate) < 5 * np.sqrt(rate * (1 - rate) / len(seeds))
    assert all(is_watched(Watch.ALWAYS, rate, seed) for seed in seeds[:50])
    assert all(is_watched(Watch.DRAWN, 1.0, seed) for seed in seeds)


def test_who_is_watched_is_watched_at_any_higher_rate() -> None:
    for k in range(300):
        seed = seeded_bytes(8, "round", k, length=32)
        seen = [is_watched(Watch.DRAWN, rate, seed) for rate in (0.01, 0.1, 0.3, 0.7, 1.0)]
        assert seen == sorted(seen)


def test_an_unwatched_round_keeps_the_challenge_rows_alone() -> None:
    kit, seed = nine(), bytes(range(32))
    plan = opened_plan(kit.plan, Watch.DRAWN, kit.params, seed)
    assert (plan.stable_rows, plan.rows) == (0, kit.params.challenge_rows)
    whole = opened_plan(kit.plan, Watch.ALWAYS, kit.params, seed)
    assert (whole.stable_rows, whole.rows) == (kit.plan.rows, kit.plan.rows + plan.rows)
    assert whole.parts[-1:] == plan.parts  # the challenge is the same


def test_whoever_draws_first_knows_nothing_at_the_upload() -> None:
    """Uploads of a watched and of an unwatched round are equal in every byte but T's."""
    kit = nine(rate=0.5)
    played = [play(kit, start=described(kit.start(), watch=watch)) for watch in Watch]
    sizes = [
        {len(m.payload) for sent in p.said(Upload).values() for m in sent}  # type: ignore[union-attr]
        for p in played
    ]
    assert sizes[0] == sizes[1]


def payload_sizes(played: Played) -> set[int]:
    sent = played.said(MaskedStatistics).values()
    return {len(message.payload) for of_one in sent for message in of_one}  # type: ignore[union-attr]


@pytest.mark.parametrize("challenge_rows", [0, 2])
def test_in_an_unwatched_round_no_label_row_leaves_a_client(challenge_rows: int) -> None:
    kit = nine(challenge_rows=challenge_rows)
    machines = kit.machines()
    played = play(kit, start=drawn(kit), machines=machines)
    exact(played, kit)
    assert not played.summary.watched
    assert payload_sizes(played) == {packed_bytes(challenge_rows, STATISTICS_RING_BITS)}
    assert {group.total.shape for group in played.summary.opened} == {(challenge_rows,)}
    memory = machines[VICTIM].memory
    assert (memory.openings, memory.label_openings, memory.watched) == (1, 0, 0)


def test_a_watched_round_opens_all_rows_and_counts() -> None:
    kit = nine()
    machines = kit.machines()
    played = play(kit, machines=machines)
    exact(played, kit)
    assert played.summary.watched
    assert {len(group.total) for group in played.summary.opened} == {kit.plan.rows + 2}
    memory = machines[VICTIM].memory
    assert (memory.openings, memory.label_openings, memory.watched) == (1, 1, 1)


def test_challenge_rows_still_bind_what_is_added_up() -> None:
    """Who lies in the rows that are left spoils the total, as in any round."""
    kit = nine()

    def lying(client: ClientId, message: Any) -> Any:
        if client != 2 or not isinstance(message, MaskedStatistics):
            return message
        words = np.frombuffer(message.payload, dtype="<u8") + np.uint64(1)
        return replace(message, payload=words.tobytes())

    assert play(kit, start=drawn(kit), to_server=lying).aborted is AbortReason.BINDING_FAILED


def test_a_server_that_watches_against_the_draw_gets_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It asks for label rows; every client knows better and sends challenge rows."""
    kit = nine()

    def everything(
        plan: StatisticsPlan, watch: Watch, params: RoundParams, seed: bytes
    ) -> StatisticsPlan:
        return opened_plan(plan, Watch.ALWAYS, params, seed)

    monkeypatch.setattr(p3b_draw, "opened_plan", everything)
    played = play(kit, start=drawn(kit))
    assert payload_sizes(played) == {packed_bytes(2, STATISTICS_RING_BITS)}
    assert set(played.dropped.values()) == {DropReason.MALFORMED}
    assert played.aborted is AbortReason.TOO_FEW_STATISTICS
    assert not played.summary.opened


def test_colluders_who_sign_a_watched_view_open_no_total(monkeypatch: pytest.MonkeyPatch) -> None:
    """All others say that label rows were due; the one honest client agrees to nothing."""
    kit, told = nine(), {}

    def other_view(client: ClientId, message: Any) -> Any:
        if isinstance(message, RandomnessList):
            told["r"] = message.randomness
        if client != VICTIM or not isinstance(message, AcceptedSet):
            return message
        server: RoundServer = told["server"]
        draw, uploads = server.state.draw, server.state.uploads  # type: ignore[union-attr]
        seed = draw.public_seed
        plan = opened_plan(kit.plan, Watch.ALWAYS, kit.params, seed)
        view = view_digest(uploads.digest, told["r"], draw.groups, plan.digest())
        signed = {c: kit.keys[c].sign(Tag.VIEW_SIGNATURE, view) for c in message.accepted}
        return replace(message, signatures={**signed, VICTIM: message.signatures[VICTIM]})

    def keep(*args: Any) -> RoundServer:
        told["server"] = made = RoundServer(*args)
        return made

    monkeypatch.setattr("rounds_kit.RoundServer", keep)
    played = play(kit, start=drawn(kit), to_client=other_view)
    assert {c: g.refusal for c, g in played.gave_up.items()} == {VICTIM: Refusal.VIEW_DISAGREES}
