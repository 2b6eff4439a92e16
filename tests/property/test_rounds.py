"""Random rounds through both machines against plain modular sums, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rounds_kit import MEANS, PARAMS, Deployment, rounding

from auror.errors import AbortReason, ConfigError
from auror.ids import ClientId
from auror.round.messages import AdvertisedKeys, ClientMessage
from auror.round.run import RoundOutcome, run_round
from auror.round.server.context import Decision, Phase
from auror.round.summary import RoundSummary
from auror.secagg.quantise import Quantiser
from auror.secagg.topology import Topology
from auror.sim.plain import plain_round
from auror.sim.seeded import seeded_public_seed


def random_case(seed: int, largest: int) -> tuple[Deployment, dict[ClientId, Phase], float]:
    rng = np.random.default_rng([99, seed])
    n = int(rng.integers(3, largest + 1))
    colluders = int(rng.integers(0, max(1, n // 3)))
    params = replace(
        PARAMS,
        group_size=int(rng.integers(1, n + 1)),
        colluders=colluders,
        challenge_rows=int(rng.integers(0, 4)),
        quantisation_bits=int(rng.integers(2, 20)),
    )
    deployment = Deployment(n, seed, params)
    silent = Topology.for_cohort(n, colluders).silent
    allowed = int(rng.integers(0, silent + 2))  # now and then one too many
    lost = {
        ClientId(int(c)): Phase(int(rng.integers(0, Phase.LOCALISE.value)))
        for c in rng.choice(n, size=min(allowed, n), replace=False)
    }
    return deployment, lost, float(rng.choice([0.0, 0.2, 0.5]))


def reached(summary: RoundSummary) -> tuple[object, ...]:
    """How far a round got, but for who was dropped: a plain round knows all losses beforehand."""
    return (
        summary.attempted,
        summary.dealt,
        summary.uploaded,
        summary.public_seed,
        summary.sent,
        summary.accepted_groups,
        summary.left_out,
        summary.unmasking,
        summary.total_opened,
    )


def check_round_exact(seed: int, largest: int) -> RoundOutcome:
    deployment, lost, exclude = random_case(seed, largest)
    rng = np.random.default_rng([98, seed])
    updates = deployment.updates()
    public_seed = seeded_public_seed(seed)
    start = deployment.start()
    drops = [float(x) for x in rng.random(64)]

    def decide(groups, plan):  # type: ignore[no-untyped-def]
        chosen = tuple(g.index for g in groups if drops[g.index] >= exclude)
        return Decision(chosen, {g.index: "test" for g in groups if g.index not in chosen})

    machines = {c: deployment.machine(c, public_seed=public_seed) for c in deployment.everybody}
    advertised: set[ClientId] = set()

    def overhear(client: ClientId, message: ClientMessage) -> None:
        if isinstance(message, AdvertisedKeys):
            advertised.add(client)

    secure = run_round(
        start,
        deployment.policy,
        machines,
        updates,
        rounding,
        decide,
        lost,
        public_seed,
        overhear,
        class_means=MEANS,
    )
    quantiser = Quantiser(deployment.params.quantisation_bits, deployment.params.quantisation_range)
    q = {c: quantiser.quantise(updates[c], rounding(c)).astype(np.int64) for c in updates}
    summary = secure.summary
    assert set(summary.accepted) <= set(summary.sent) <= set(summary.uploaded)
    assert set(summary.uploaded) <= set(summary.dealt) <= advertised
    early = {c for c, phase in lost.items() if phase.value <= Phase.STATISTICS.value}
    assert not early & set(summary.accepted)
    plan = start.plan.with_challenge(summary.public_seed, deployment.params.challenge_rows)
    for group in summary.opened:
        dense = sum(plan.apply(q[c]) for c in group.members)
        assert np.array_equal(group.total, dense)
    if secure.total is not None:
        expected = np.sum([q[c] for c in summary.accepted], axis=0)
        assert np.array_equal(secure.total.total, expected)
        assert secure.total.total.dtype == np.int64

    plain = plain_round(start, deployment.policy, updates, rounding, decide, lost, public_seed)
    assert plain.aborted == secure.aborted
    assert plain.summary.groups == summary.groups
    assert plain.summary.accepted == summary.accepted
    assert [(g.index, g.members) for g in plain.summary.opened] == [
        (g.index, g.members) for g in summary.opened
    ]
    for one, other in zip(plain.summary.opened, summary.opened, strict=True):
        assert np.array_equal(one.total, other.total)
    assert reached(plain.summary) == reached(summary)
    assert (plain.total is None) == (secure.total is None)
    if plain.total is not None and secure.total is not None:
        assert np.array_equal(plain.total.total, secure.total.total)
    return secure


def run_many(seeds: range, largest: int = 8) -> None:
    outcomes = [check_round_exact(seed, largest) for seed in seeds]
    finished = sum(outcome.total is not None for outcome in outcomes)
    assert finished > len(seeds) // 4  # else the comparison above compared little
    assert any(outcome.aborted is not None for outcome in outcomes)


@pytest.mark.parametrize(
    "block", [0, 1, *(pytest.param(block, marks=pytest.mark.slow) for block in (2, 3))]
)
def test_random_rounds_equal_plain_sums_bit_for_bit(block: int) -> None:
    run_many(range(75 * block, 75 * (block + 1)))


def test_larger_random_rounds_equal_plain_sums_bit_for_bit() -> None:
    run_many(range(15), largest=20)


@pytest.mark.oracle
@pytest.mark.parametrize("block", range(20))
def test_ten_thousand_random_rounds_equal_plain_sums_bit_for_bit(block: int) -> None:
    """Twenty blocks for as many processes as there are: pytest -m oracle -n 2."""
    run_many(range(1000 + 500 * block, 1000 + 500 * (block + 1)))


def test_a_tenth_lost_before_upload_and_a_tenth_after() -> None:
    deployment = Deployment(30, 5, replace(PARAMS, group_size=5, colluders=9))
    lost = {ClientId(i): Phase.UPLOAD for i in (3, 14, 27)}
    lost |= {
        ClientId(1): Phase.STATISTICS,
        ClientId(8): Phase.DRAW,
        ClientId(20): Phase.UNMASK,
    }
    updates = deployment.updates()
    outcome = run_round(
        deployment.start(),
        deployment.policy,
        deployment.machines(),
        updates,
        rounding,
        lost=lost,
        class_means=MEANS,
    )
    assert outcome.aborted is None
    assert outcome.total is not None
    survivors = outcome.summary.accepted
    assert {8, 20} & set(outcome.summary.uploaded) == {8, 20}
    quantiser = Quantiser(12, 1.0)
    expected = sum(quantiser.quantise(updates[c], rounding(c)).astype(np.int64) for c in survivors)
    assert np.array_equal(outcome.total.total, expected)
    assert sum(map(len, outcome.summary.groups)) == 27
    kept = [g for g in outcome.summary.groups if not {1, 8} & set(g)]
    assert set(survivors) == {c for g in kept for c in g}


@pytest.mark.parametrize("phase", list(Phase))
def test_one_too_many_lost_before_any_phase_aborts_with_a_reason(phase: Phase) -> None:
    deployment = Deployment(7)
    lost = {ClientId(i): phase for i in range(3)}  # t = 5 of 7
    outcome = run_round(
        deployment.start(),
        deployment.policy,
        deployment.machines(),
        deployment.updates(),
        rounding,
        lost=lost,
        class_means=MEANS,
    )
    if phase is Phase.LOCALISE:  # there is none unless a check failed
        assert outcome.total is not None
        return
    assert outcome.total is None
    expected = {
        Phase.ADVERTISE: {AbortReason.TOO_FEW_ADVERTISED},
        Phase.SHARE_KEYS: {AbortReason.TOO_FEW_DEALT},
        Phase.RECEIPTS: {AbortReason.TOO_FEW_DEALT},
        Phase.UPLOAD: {AbortReason.TOO_FEW_UPLOADED},
        Phase.CONSISTENCY: {AbortReason.TOO_FEW_CONSISTENT},
        Phase.DRAW: {AbortReason.TOO_FEW_SHARES},
        Phase.STATISTICS: {AbortReason.TOO_FEW_STATISTICS, AbortReason.TOO_FEW_AGREED},
        Phase.AGREE: {AbortReason.TOO_FEW_AGREED},
        Phase.UNMASK: {AbortReason.TOO_FEW_SHARES},
    }
    assert outcome.aborted in expected[phase]


def test_a_cohort_without_two_honest_clients_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="two clients must be honest"):
        Topology.for_cohort(10, 9)
