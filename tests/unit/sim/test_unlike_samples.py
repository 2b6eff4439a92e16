"""Clients whose samples look otherwise than the server's: the training goes on along weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from auror.defence.ledger import Ledger
from auror.errors import AbortReason, DropReason, Refusal
from auror.ids import ClientId
from auror.learn.architectures import Mlp
from auror.learn.attacks import parse_attack
from auror.learn.datasets import load_dataset
from auror.learn.host import TorchHost
from auror.learn.partition import parse_partition
from auror.learn.pinned import PinnedTask
from auror.learn.training import TrainingParams
from auror.params import RoundParams
from auror.round.label_rows import LabelRows, MeansSource
from auror.round.summary import RoundSummary
from auror.sim.population import LocalTrainer, Population
from auror.sim.simulate import Aggregation, SimulatedRound, SimulationConfig, simulate
from auror.training.config import AfterFlag, CampaignConfig
from auror.training.detectors import PlainVerdict
from auror.training.observations import means_refused
from auror.training.state import CampaignState

CLIENTS, COLLUDERS = 16, 2


class Elsewhere(TorchHost):
    """Its samples of a class look like what the clients know as another."""

    def class_means(self, model: NDArray[np.float32]) -> NDArray[np.float32] | None:
        found = super().class_means(model)
        return None if found is None else -found


def played(
    aggregation: Aggregation, dropout: float = 0.0
) -> tuple[list[SimulatedRound], CampaignState]:
    data, attack = load_dataset("digits", seed=1), parse_attack("none")
    task, device = PinnedTask(Mlp(data.input_shape, data.classes), TrainingParams()), "cpu"
    population = Population.divide(data, parse_partition("iid"), CLIENTS, 0, attack, 1)
    config = SimulationConfig(
        campaign=CampaignConfig(rounds=2, after_flag=AfterFlag.CONTINUE),
        params=RoundParams(group_size=3, colluders=COLLUDERS),
        seed=1,
        clients=CLIENTS,
        aggregation=aggregation,
        dropout_before=dropout,
        dropout_after=dropout,
    )
    host = Elsewhere(task, data, torch.device(device), 1, attack)
    trainer = LocalTrainer(population, task, 1, torch.device(device), vmap=False)
    seen: list[SimulatedRound] = []
    return seen, simulate(config, host, trainer, seen.append).campaign.state


def source(seen: SimulatedRound) -> MeansSource:
    (rows,) = (part for part in seen.plan.parts if isinstance(part, LabelRows))
    return rows.source


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_means_that_honest_clients_refuse_cost_one_round(dropout: float) -> None:
    runs = [played(aggregation, dropout) for aggregation in Aggregation]
    for rounds, state in runs:
        first, *later = rounds
        assert source(first) is MeansSource.CLEAN_SAMPLES
        assert first.record.aborted is AbortReason.TOO_FEW_UPLOADED
        assert set(first.record.withdrawn.values()) == {Refusal.FORGED_MEANS}
        assert {first.record.dropped[c] for c in first.record.withdrawn} == {DropReason.REFUSED}
        assert [one.record.aborted for one in later] == [None, None]
        assert {source(one) for one in later} == {MeansSource.OUTPUT_WEIGHTS}
        back = CampaignState.from_dict(state.to_dict(), state.tensors(), state.ledger.rounds)
        assert back.means_refused
    secure, plain = ([one.record for one in rounds] for rounds, _state in runs)
    for one, other in zip(secure, plain, strict=True):
        assert one.withdrawn == other.withdrawn
        assert (one.uploaded, one.accepted, one.model) == (
            other.uploaded,
            other.accepted,
            other.model,
        )


def test_colluders_alone_cannot_have_the_servers_samples_put_aside() -> None:
    refusers = [ClientId(at) for at in range(COLLUDERS + 1)]
    forged = dict.fromkeys(refusers, Refusal.FORGED_MEANS)
    assert means_refused(RoundSummary(refusals=forged), COLLUDERS)
    assert not means_refused(RoundSummary(refusals=forged), COLLUDERS + 1)
    mixed = {**forged, refusers[0]: Refusal.BAD_UPDATE}
    assert not means_refused(RoundSummary(refusals=mixed), COLLUDERS)


def test_nobody_is_flagged_on_readings_of_which_no_error_rate_is_claimed() -> None:
    seen, _state = played(Aggregation.PLAIN)
    campaign = seen[0].campaign
    assert campaign.defence.watch_only
    assert not campaign.config.watches_only(CLIENTS)

    def own(_ledger: Ledger, _invited: tuple[ClientId, ...]) -> PlainVerdict:
        return PlainVerdict()

    other = CampaignConfig(rounds=1, detector=own)  # states no rate
    assert not other.watches_only(CLIENTS, means_refused=True)
