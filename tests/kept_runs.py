"""Runs in folders, made round by round without anybody playing them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from auror_server.state.identity import RunIdentity
from auror_server.state.opening import Resumed, begin, resume
from auror_server.state.rows import Closing
from auror_server.state.run import RunState
from campaign_kit import PLAN, Host, Scripted
from rounds_kit import PARAMS, Deployment

from auror.crypto.entropy import system_entropy
from auror.defence.ledger import GroupObservation, RoundObservation
from auror.errors import AbortReason
from auror.ids import ClientId, GroupIndex, RoundId
from auror.round.description import model_digest
from auror.round.facts import Attempted, GroupsDrawn, RoundBegun, UnmaskingBegun
from auror.round.policy import NO_DIGEST
from auror.round.record import OpenedGroup, RoundRecord
from auror.round.watch import Watch
from auror.training.campaign import Campaign
from auror.training.config import CampaignConfig
from auror.training.state import CampaignState

KIT = Deployment(
    9,
    params=replace(PARAMS, challenge_rows=0),
    task=Host.task,
    first_models=tuple(model_digest(Host().initial(era)) for era in (0, 1)),
)
IDENTITY = RunIdentity(KIT.policy, "settings")
CLIENTS = tuple(map(ClientId, range(9)))


def fresh() -> CampaignState:
    config = CampaignConfig(rounds=5, plan=PLAN, detector=Scripted())
    return Campaign(config, Host(), KIT.policy, system_entropy).state


def begun(state: CampaignState) -> RoundBegun:
    models = state.models
    return RoundBegun(
        RoundId(state.counter, bytes(16)), NO_DIGEST, CLIENTS, models.era, models.step,
        models.attempts, model_digest(models.model), models.parent,
    )  # fmt: skip


def played(run: RunState, state: CampaignState, total: bool = True) -> None:
    """One round with everything that a round leaves; ``total``: it ends with one."""
    fact = begun(state)
    for each in (
        fact,
        Attempted(False, True),
        GroupsDrawn(b"r", NO_DIGEST, (CLIENTS,), True),
        UnmaskingBegun(),
    ):
        run.note(each)
        run.sync()
    rng = np.random.default_rng(state.index)
    if total:
        state.models.add(rng.normal(size=Host.dim))
        observed = tuple(
            GroupObservation(CLIENTS[3 * k : 3 * k + 3], rng.normal(size=state.ledger.width))
            for k in range(3)
        )
        gram = rng.normal(size=(2, 2)) if state.index % 2 else None
        state.ledger.append(RoundObservation(state.index, 0, observed, gram))
    else:
        state.models.book(attempted=True, unmasking=True)
        state.models.failed += 1
    record = RoundRecord(
        index=state.index, era=0, round_id=fact.round_id, attempt=0, cohort=CLIENTS, dealt=CLIENTS,
        uploaded=CLIENTS, sent=CLIENTS, groups=(CLIENTS,),
        opened=(OpenedGroup(GroupIndex(0), CLIENTS, np.arange(4, dtype=np.uint64)),),
        accepted_groups=(), accepted=(), left_out={}, flagged=(), dropped={},
        aborted=None if total else AbortReason.BINDING_FAILED, total_opened=True,
        model=model_digest(state.models.model), public_seed=b"r", watch=Watch.ALWAYS, watched=True,
        attempted=True,
        statistics_asked=True, shares_asked=True,
    )  # fmt: skip
    state.index, state.counter = state.index + 1, state.counter + 1
    closing = Closing(
        record=record, extra={"metrics": {}}, timings={"index": record.index},
        total=np.arange(Host.dim) if total else None,
    )  # fmt: skip
    run.close_rounds([closing], state, {"scores": {"0": record.index}})


def run_of(folder: Path, rounds: int = 3) -> CampaignState:
    state = fresh()
    run = begin(folder, IDENTITY, state)
    for _ in range(rounds):
        played(run, state)
    run.close()
    return state


def go_on(folder: Path, generation: int | None = None) -> Resumed:
    found = resume(folder, IDENTITY, generation, Host().initial)
    assert found is not None
    return found


def flip(path: Path, at: float = 0.5) -> None:
    raw = bytearray(path.read_bytes())
    raw[int(len(raw) * at)] ^= 16
    path.write_bytes(raw)


def same(one: CampaignState, other: CampaignState) -> None:
    assert one.to_dict() == other.to_dict()
    assert one.ledger.to_dict() == other.ledger.to_dict()
    assert one.tensors().keys() == other.tensors().keys()
    for name, expected in one.tensors().items():
        assert expected.tobytes() == other.tensors()[name].tobytes()
