"""A simulated run: with masks and without, the same model bit for bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from auror.defence.ledger import Ledger
from auror.errors import ConfigError
from auror.ids import ClientId
from auror.learn.architectures import Mlp
from auror.learn.attacks import parse_attack
from auror.learn.datasets import load_dataset
from auror.learn.host import TorchHost
from auror.learn.partition import parse_partition
from auror.learn.pinned import PinnedTask
from auror.learn.training import TrainingParams
from auror.params import RoundParams
from auror.sim.population import LocalTrainer, Population
from auror.sim.seeded import seeded_bytes, seeded_entropy
from auror.sim.simulate import Aggregation, SimulationConfig, SimulationResult, simulate
from auror.training.config import AfterFlag, CampaignConfig
from auror.training.detectors import DecodedDetector, PlainVerdict
from auror.training.notices import notices_of
from auror.training.observations import PlanChoice


def run(
    aggregation: Aggregation, vmap: bool, dropout: float = 0.0, **campaign: Any
) -> SimulationResult:
    data, attack, device = (
        load_dataset("digits", seed=1),
        parse_attack("flip:4:9"),
        torch.device("cpu"),
    )
    task = PinnedTask(Mlp(data.input_shape, data.classes), TrainingParams())
    population = Population.divide(data, parse_partition("iid"), 10, 2, attack, 1)
    config = SimulationConfig(
        campaign=CampaignConfig(**{"rounds": 2, "after_flag": AfterFlag.CONTINUE, **campaign}),
        params=RoundParams(group_size=3, colluders=2),
        seed=1,
        clients=10,
        aggregation=aggregation,
        dropout_before=dropout,
        dropout_after=dropout,
    )
    host = TorchHost(task, data, device, 1, attack)
    return simulate(
        config, host, LocalTrainer(population, task, 1, device, vmap), lambda seen: None
    )


@pytest.mark.parametrize("vmap", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_secure_and_plain_give_the_same_model_bit_for_bit(vmap: bool, dropout: float) -> None:
    secure, plain = (run(aggregation, vmap, dropout) for aggregation in Aggregation)
    assert secure.model.tobytes() == plain.model.tobytes()
    assert len(secure.records) == len(plain.records) >= 2
    for one, other in zip(secure.records, plain.records, strict=True):
        assert one.aborted is None
        assert (one.groups, one.sent, one.accepted) == (other.groups, other.sent, other.accepted)
        assert one.public_seed == other.public_seed
        for a, b in zip(one.opened, other.opened, strict=True):
            assert np.array_equal(a.total, b.total)


def test_seeded_randomness_repeats_and_separates() -> None:
    one, two = seeded_entropy(1, "a"), seeded_entropy(1, "a")
    assert [one(32), one(32)] == [two(32), two(32)]
    assert len({one(32), one(32), seeded_entropy(1, "b")(32), seeded_entropy(2, "a")(32)}) == 4
    assert seeded_bytes(1, "a", "b") != seeded_bytes(1, "ab")


@pytest.mark.parametrize("field", ["dropout_before", "dropout_after"])
def test_dropout_out_of_range(field: str) -> None:
    campaign, params = CampaignConfig(rounds=1), RoundParams()
    with pytest.raises(ConfigError, match=field):
        SimulationConfig(campaign=campaign, params=params, seed=1, clients=30, **{field: 1.0})


class Flags:
    """A verdict on everybody whom the test names."""

    doubted: frozenset[ClientId] = frozenset()
    cleared: frozenset[ClientId] = frozenset()
    scores: dict[ClientId, float] = {}  # noqa: RUF012
    strength: float | None = None
    required: float | None = None

    def __init__(self, *flagged: int) -> None:
        self.flagged = frozenset(map(ClientId, flagged))

    def to_dict(self) -> dict[str, object]:
        return {}


@pytest.mark.parametrize("aggregation", Aggregation)
def test_the_simulator_signs_the_next_version_when_exclusions_ask_for_it(
    aggregation: Aggregation,
) -> None:
    found = run(aggregation, True, rounds=12, detector=lambda ledger, invited: Flags(1, 4, 6, 8))
    policy = found.campaign.policy
    assert policy.version == 2
    assert sorted(policy.members) == [0, 2, 3, 5, 7, 9]
    assert all(record.aborted is None for record in found.records)
    assert found.records[-1].cohort == (0, 2, 3, 5, 7, 9)


@pytest.mark.parametrize(
    ("plan", "width", "notice"),
    [
        (PlanChoice(confusion=False), 0, "nobody can be flagged"),
        (PlanChoice(confusion=False, sketch_rows=64), 64, "64 entries of a sketch"),
        (PlanChoice(confusion=False, output_layer=True), 650, "the output layer's entries"),
    ],
)
def test_without_label_rows_the_defence_goes_on_and_says_with_what(
    plan: PlanChoice, width: int, notice: str
) -> None:
    result = run(Aggregation.PLAIN, True, rounds=6, plan=plan)
    assert [record.aborted for record in result.records] == [None] * 6
    assert result.campaign.ledger.width == width
    assert notice in notices_of(result.campaign.config, result.campaign.plan, 10, True)[0]
    assert (result.campaign.verdict is not None) == (width > 0)


def test_with_label_rows_small_cohorts_alone_are_told_of() -> None:
    ten = run(Aggregation.PLAIN, True, rounds=1).campaign
    (line,) = notices_of(ten.config, ten.plan, 10, True)
    assert line.startswith("10 clients: below 15 error_rate is not claimed")
    assert "nobody is flagged" in line
    (line,) = notices_of(replace(ten.config, flag_small_cohorts=True), ten.plan, 10, True)
    assert "honest clients may be flagged" in line
    assert notices_of(ten.config, ten.plan, 15, True) == ()
    assert notices_of(replace(ten.config, defend=False), ten.plan, 10, True) == ()
    (line,) = notices_of(ten.config, ten.plan, 15, signed=False)
    assert "signs no clean samples" in line
    assert notices_of(ten.config, replace(ten.plan, confusion=False), 15, False) == notices_of(
        ten.config, replace(ten.plan, confusion=False), 15, True
    )
    own = replace(ten.config, detector=lambda ledger, invited: PlainVerdict())
    assert notices_of(own, ten.plan, 10, True) == ()


class AccusesTheFirst(DecodedDetector):
    """The default detector, whatever it decodes."""

    def __call__(self, ledger: Ledger, invited: tuple[ClientId, ...]) -> PlainVerdict:  # type: ignore[override]
        return PlainVerdict(flagged=frozenset({ClientId(0)}), scores={ClientId(0): 9.0})


@pytest.mark.parametrize("flags", [False, True])
def test_below_fifteen_clients_nobody_is_flagged_unless_asked_for(flags: bool) -> None:
    result = run(
        Aggregation.PLAIN, True, rounds=8, detector=AccusesTheFirst(), flag_small_cohorts=flags
    )
    campaign = result.campaign
    assert campaign.flagged == ((ClientId(0),) if flags else ())
    assert campaign.suspected == (() if flags else (ClientId(0),))
    tested = [group for r in result.records for k in r.audited for group in [r.groups[k]]]
    assert flags or len(tested) < 4  # random audits alone, and no suspect's group in every round


def test_from_fifteen_clients_on_flagging_needs_no_permission() -> None:
    decoded = CampaignConfig(rounds=1)
    assert [decoded.watches_only(clients) for clients in (14, 15)] == [True, False]
    for other in ({"defend": False}, {"flag_small_cohorts": True}):
        assert not CampaignConfig(rounds=1, **other).watches_only(6)
    own = replace(decoded, detector=lambda ledger, invited: PlainVerdict())
    assert not own.watches_only(6)
