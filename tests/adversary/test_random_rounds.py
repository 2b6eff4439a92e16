"""Random liars with random mixtures of strategies: nobody honest is ever blamed, and no wrong
total is ever accepted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from liars import STRATEGIES, Liars
from rounds_kit import PARAMS, POLICY, Deployment, Played, play, rounding

from auror.defense.liability import Liability
from auror.errors import AbortReason, DropReason
from auror.ids import ClientId, GroupIndex
from auror.round.server.context import Decision
from auror.secagg.quantize import Quantiser

ACCUSING = set(DropReason) - {DropReason.SILENT, DropReason.REFUSED, DropReason.NOT_INVITED}


def adversarial_round(seed: int) -> tuple[Played, Liars, Deployment]:
    rng = np.random.default_rng([13, seed])
    n = int(rng.integers(4, 9))
    colluders = int(rng.integers(1, max(2, n // 2)))
    params = replace(
        PARAMS, group_size=int(rng.integers(2, max(3, n // 2 + 1))), colluders=colluders
    )
    kit = Deployment(
        n, seed, params, replace(POLICY, colluders=colluders, min_group=1, min_cohort=2)
    )
    names = list(STRATEGIES)
    wicked = {
        ClientId(int(c)): [
            STRATEGIES[names[int(k)]]
            for k in rng.choice(len(names), size=int(rng.integers(1, 4)), replace=False)
        ]
        for c in rng.choice(n, size=colluders, replace=False)
    }
    liars = Liars(kit, wicked, rng)
    audited = GroupIndex(int(rng.integers(6))) if rng.random() < 0.3 else None

    def decide(groups: object, plan: object) -> Decision:
        left = {g.index: "audit" for g in groups if g.index == audited}  # type: ignore[attr-defined]
        return Decision(tuple(g.index for g in groups if g.index not in left), left)  # type: ignore[attr-defined]

    return play(kit, machines=liars.machines, to_server=liars.to_server, decide=decide), liars, kit


def check(seed: int) -> str:
    """Returns how the round ended, for the count below."""
    played, liars, kit = adversarial_round(seed)
    wicked = set(liars.strategies)
    accused = {c for c, why in played.dropped.items() if why in ACCUSING}
    assert accused <= wicked, f"seed {seed}: honest clients accused: {accused - wicked}"
    for mark in played.progress.marks:
        assert set(mark.clients) & wicked, f"seed {seed}: only honest clients in {mark}"
    proven = Liability()
    proven.add(mark.clients for mark in played.progress.marks)
    assert proven.proven(kit.params.colluders) <= wicked, f"seed {seed}"
    if played.total is None:
        return played.aborted.name if played.aborted is not None else "?"
    check_total(played, liars, kit)
    return "total"


def check_total(played: Played, liars: Liars, kit: Deployment) -> None:
    """The total is the sum of what the accepted clients submitted, and what was tested sums to
    the same."""
    total, progress = played.total, played.progress
    assert total is not None
    assert progress.plan is not None
    quantiser = Quantiser(kit.params.quantisation_bits, kit.params.quantisation_range)
    updates = kit.updates()
    submitted = np.sum(
        [
            quantiser.quantise(updates[c], rounding(c)).astype(np.int64) + liars.shifts.get(c, 0)
            for c in total.accepted
        ],
        axis=0,
    ) & ((1 << liars.ring.bits) - 1)
    assert np.array_equal(total.total, submitted)
    chosen = set(progress.accepted_groups)
    tested = sum(group.total for group in progress.opened if group.index in chosen)
    assert np.array_equal(progress.plan.apply(total.total), tested)


def run(seeds: range) -> Counter[str]:
    return Counter(check(seed) for seed in seeds)


@pytest.mark.parametrize("block", range(2))
def test_nobody_honest_is_blamed_and_no_wrong_total_accepted(block: int) -> None:
    ends = run(range(75 * block, 75 * (block + 1)))
    assert ends["total"] >= 10  # else liars merely stopped everything
    assert ends[AbortReason.BINDING_FAILED.name] >= 10


@pytest.mark.oracle
@pytest.mark.parametrize("block", range(8))
def test_two_thousand_adversarial_rounds(block: int) -> None:
    ends = run(range(1000 + 250 * block, 1000 + 250 * (block + 1)))
    assert ends["total"] >= 40
    assert ends[AbortReason.BINDING_FAILED.name] >= 40


def test_every_strategy_is_detected_or_harmless() -> None:
    """One liar with one strategy: what happens is written down here."""
    expected = {
        "statistics, a little": (AbortReason.BINDING_FAILED, True),
        "statistics, anything": (AbortReason.BINDING_FAILED, True),
        "statistics, a multiple of the ring": (AbortReason.BINDING_FAILED, False),
        "statistics, downwards": (AbortReason.BINDING_FAILED, True),
        "shifted upload": (AbortReason.BINDING_FAILED, True),
        "overflowing upload": (AbortReason.BINDING_FAILED, True),
        "unreadable envelopes": (None, False),
        "inconsistent seed": (AbortReason.BAD_RECONSTRUCTION, True),
        "inconsistent mask key": (None, False),  # restored only if the liar drops out
        "false shares": (None, True),
        "withheld shares": (None, False),
        "false masks": (None, False),
        "unsigned": (None, False),
        "twice": (None, False),
        "stale": (None, False),
        "contradicted": (None, False),
        "silent before upload": (None, False),
        "silent after upload": (None, False),
        "silent when asked for masks": (None, False),
    }
    assert expected.keys() == STRATEGIES.keys()
    liar = ClientId(3)
    for name, (aborted, named) in expected.items():
        params = replace(PARAMS, colluders=1, group_size=3)
        kit = Deployment(9, 5, params, replace(POLICY, min_group=1))
        liars = Liars(kit, {liar: [STRATEGIES[name]]}, np.random.default_rng(1))
        played = play(kit, machines=liars.machines, to_server=liars.to_server)
        assert played.aborted is aborted, name
        marked = [liar in mark.clients for mark in played.progress.marks]
        assert bool(marked) is named, name
        assert all(marked), name
