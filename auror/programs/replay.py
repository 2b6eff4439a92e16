"""A run over the network, repeated in this process from the randomness its parties recorded.

The same campaign decides again; local training takes the recorded seeds, rounding too, groups
follow from the recorded public seed, and whoever fell silent then falls silent now. No masks:
they cancel. If the models agree bit for bit, the network run computed what it claims.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from auror.crypto.entropy import Secret, system_entropy
from auror.crypto.signing import SigningKey
from auror.errors import DataError
from auror.experiments.config import Medium
from auror.experiments.experiment import DefenceWatch
from auror.experiments.prepared import Prepared
from auror.experiments.progress import Reporter
from auror.experiments.result import Defended, HistoryPoint
from auror.experiments.runfolder import read_run
from auror.ids import ClientId, GroupIndex
from auror.learn.training import train_client
from auror.round.messages import RoundStart
from auror.round.policy import Policy
from auror.round.record import RoundRecord
from auror.round.run import RoundOutcome
from auror.round.server.context import Phase
from auror.round.summary import RoundSummary
from auror.round.watch import opened_plan
from auror.sim.plain import plain_round
from auror.sim.simulate import SimulatedRound, signed_policy
from auror.training.campaign import Campaign
from auror.training.config import CampaignConfig

RANDOMNESS = "randomness"
"""Folder with one file per client process."""

Seeds = Mapping[tuple[int, ClientId], tuple[int, Secret]]
"""(round counter, client) → training seed and rounding seed."""


@dataclass(frozen=True)
class Replay:
    """Whether a replayed run is the recorded one."""

    equal: bool
    rounds: int
    first_difference: int | None
    """Index of the first round after which the models differ."""
    model_sha256: str


@dataclass(frozen=True)
class Replayed:
    """All that a replay found, and the model it ended with."""

    first_difference: int | None
    model: NDArray[np.float32]
    history: tuple[HistoryPoint, ...]
    defended: Defended


def replay_run(folder: Path, report: Reporter) -> Replay:
    """Replay the run folder ``folder`` of ``auror demo``.

    Raises:
        DataError: it is no such folder, or its randomness was not kept.
    """
    saved = read_run(folder)
    found = saved.result.defended
    if found is None or saved.result.transport is not Medium.GRPC:
        raise DataError(
            f"{folder} holds no run over the network: auror simulate repeats bit for bit from its"
            " seed, there is nothing to replay"
        )
    prepared = Prepared.of(saved.result.config)
    made = replay(prepared, found.records, read_seeds(folder / RANDOMNESS), report)
    same = made.first_difference is None and np.array_equal(made.model, saved.model)
    return Replay(
        same, len(found.records), made.first_difference, str(saved.summary["model_sha256"])
    )


def replay(
    prepared: Prepared, records: Sequence[RoundRecord], seeds: Seeds, report: Reporter
) -> Replayed:
    """Play ``records`` again, one thread, one client after the other, as the programs do."""
    watch = DefenceWatch(prepared, report, stage="replay")
    config = prepared.campaign_config()
    audited: tuple[GroupIndex, ...] = ()
    campaign = Campaign(
        config,
        prepared.host,
        _policy(prepared, config),
        system_entropy,
        draw=lambda _groups, _suspected: audited,
    )
    first: int | None = None
    with _one_thread():
        for record in records:
            audited = record.audited  # what the server drew then
            start = campaign.next_round(record.cohort)
            if start is None or start.description.cohort != record.cohort:
                first = record.index if first is None else first
                break
            updates = _updates(prepared, start, record, seeds)
            outcome = _play(start, record, updates, seeds, campaign)
            _end, made = campaign.finish(outcome.summary, outcome.total, outcome.aborted)
            if made.model != record.model and first is None:
                first = record.index
            watch.observe(
                SimulatedRound(record, start.plan, updates, campaign.state.models.model, campaign)
            )
        over = first is not None or campaign.next_round() is None
    if not over:
        first = len(records)
    return Replayed(
        first, campaign.state.models.model, tuple(watch.history), watch.finish(campaign)
    )


def read_seeds(folder: Path) -> dict[tuple[int, ClientId], tuple[int, Secret]]:
    """The recorded randomness of all client processes; of repeated lines the last counts.

    Raises:
        DataError: nothing was recorded, or it cannot be read.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise DataError(f"{folder} holds no recorded randomness: only auror demo keeps it")
    found = {}
    try:
        for file in files:
            for line in file.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                key = int(entry["counter"]), ClientId(int(entry["client"]))
                found[key] = int(entry["training_seed"]), Secret(bytes.fromhex(entry["rounding"]))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: recorded randomness cannot be read: {error}") from error
    return found


def _updates(
    prepared: Prepared, start: RoundStart, record: RoundRecord, seeds: Seeds
) -> dict[ClientId, NDArray[np.float32]]:
    made = {}
    for client in record.uploaded:
        try:
            seed, _ = seeds[record.round_id.counter, client]
        except KeyError as error:
            raise DataError(
                f"no randomness recorded for client {client} in round {record.index}"
            ) from error
        made[client] = train_client(
            prepared.pinned.task,
            start.model,
            prepared.population.x[client],
            prepared.population.y[client],
            params=prepared.pinned.training,
            seed=seed,
            device=prepared.device,
        )
    return made


def _play(
    start: RoundStart,
    record: RoundRecord,
    updates: Mapping[ClientId, NDArray[np.float32]],
    seeds: Seeds,
    campaign: Campaign,
) -> RoundOutcome:
    counter = record.round_id.counter
    if record.aborted is not None:
        return _aborted(start, record, campaign)
    return plain_round(
        start,
        campaign.policy,
        updates,
        lambda client: seeds[counter, client][1],
        campaign.decide,
        _lost(record),
        lambda _transcript, _uploaded, _randomness: record.public_seed,
    )


def _aborted(start: RoundStart, record: RoundRecord, campaign: Campaign) -> RoundOutcome:
    """The round changed no model; what was opened and flagged in it still counts."""
    summary = RoundSummary(
        attempted=record.attempted,
        dealt=record.dealt,
        uploaded=record.uploaded,
        public_seed=record.public_seed,
        asked=record.statistics_asked,
        groups=record.groups,
        watched=record.watched,
        sent=record.sent,
        opened=record.opened,
        accepted_groups=record.accepted_groups,
        accepted=record.accepted,
        unmasking=record.shares_asked,
        total_opened=record.total_opened,
        dropped=record.dropped,
        marks=record.marks,
    )
    if record.opened:
        params = campaign.policy.params
        plan = opened_plan(start.plan, record.watch, params, record.public_seed)
        campaign.decide(record.opened, plan)
    return RoundOutcome(None, record.aborted, "", summary)


def _lost(record: RoundRecord) -> dict[ClientId, Phase]:
    """Who stopped answering, and at which phase."""
    lost: dict[ClientId, Phase] = {}
    for phase, there in (
        (Phase.SHARE_KEYS, record.dealt),
        (Phase.UPLOAD, record.uploaded),
        (Phase.STATISTICS, record.sent),
    ):
        for client in record.cohort:
            if client not in there:
                lost.setdefault(client, phase)
    return lost


def _policy(prepared: Prepared, campaign: CampaignConfig) -> Policy:
    """Anybody's: identities decide nothing that a replay computes."""
    keys = {ClientId(i): SigningKey.draw(system_entropy) for i in range(prepared.config.clients)}
    operator = SigningKey.draw(system_entropy)
    params = prepared.config.round_params
    return signed_policy(prepared.config.seed, keys, operator, campaign, params, prepared.host)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """As in the client program: another number of threads may round sums differently."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
