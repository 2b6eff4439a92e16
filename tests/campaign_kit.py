"""A campaign on real machines whose verdicts a test dictates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rounds_kit import BUDGET, DIM, PARAMS, Deployment, play

from auror.defence.ledger import Ledger
from auror.ids import ClientId
from auror.round.description import model_digest
from auror.round.messages import MaskedStatistics
from auror.round.past import common_past
from auror.sim.seeded import seeded_entropy
from auror.training.campaign import Campaign
from auror.training.config import CampaignConfig
from auror.training.observations import PlanChoice

PLAN = PlanChoice(confusion=False, sketch_rows=4)


class Host:
    dim = DIM
    task = b"{}"
    output = None

    def initial(self, index: int) -> NDArray[np.float32]:
        return np.random.default_rng(index).normal(size=DIM).astype(np.float32)

    def class_means(self, model: NDArray[np.float32]) -> None:
        return None

    def evaluate(self, model: NDArray[np.float32]) -> Mapping[str, float | None]:
        return {}


@dataclass
class Says:
    """A verdict that a test dictates."""

    flagged: frozenset[ClientId] = frozenset()
    doubted: frozenset[ClientId] = frozenset()
    cleared: frozenset[ClientId] = frozenset()
    scores: dict[ClientId, float] = field(default_factory=dict)
    strength: float | None = None
    required: float | None = None

    def to_dict(self) -> dict[str, object]:
        return {}


def says(*flagged: int, doubted: tuple[int, ...] = ()) -> Says:
    return Says(frozenset(map(ClientId, flagged)), frozenset(map(ClientId, doubted)))


@dataclass
class Scripted:
    """A detector that flags whom the test says, once so many rounds are bound, and clears all
    others once ``cleared_after`` are; None: it clears nobody."""

    flags: dict[int, set[int]] = field(default_factory=dict)
    cleared_after: int | None = None

    def __call__(self, ledger: Ledger, invited: tuple[ClientId, ...]) -> Says:
        found = (who for after, who in self.flags.items() if len(ledger.rounds) >= after)
        said = says(*(client for who in found for client in who))
        if self.cleared_after is None or len(ledger.rounds) < self.cleared_after:
            return said
        return replace(said, cleared=frozenset(invited) - said.flagged)


class Run:
    def __init__(
        self, rounds: int = 3, flags: dict[int, set[int]] | None = None, **more: Any
    ) -> None:
        params = replace(PARAMS, challenge_rows=0, **more.pop("params", {}))
        eras = more.pop("eras", 2)
        detector = Scripted(flags or {}, more.pop("cleared_after", None))
        self.deployment = Deployment(
            9,
            params=params,
            budget=more.pop("budget", BUDGET),
            task=Host.task,
            first_models=tuple(model_digest(Host().initial(era)) for era in range(eras)),
        )
        config = CampaignConfig(rounds=rounds, plan=PLAN, detector=detector, **more)
        self.machines = self.deployment.machines()
        self._begin(config)

    def _begin(self, config: CampaignConfig) -> None:
        self.campaign = Campaign(config, Host(), self.deployment.policy, seeded_entropy(3))
        self.records: list[Any] = []
        self.ends: list[Any] = []

    def again(self, **changes: Any) -> bool:
        """Another run of the same clients, whose memories stay; by a server that knows nothing of
        the one before. Returns whether it follows any."""
        self._begin(replace(self.campaign.config, **changes))
        pasts = [machine.memory.past for machine in self.machines.values()]
        return self.campaign.follow(common_past(pasts, self.deployment.policy.params.colluders))

    def round(self, to_server: Any = None) -> Any:
        start = self.campaign.next_round()
        if start is None:
            return None
        played = play(
            self.deployment,
            start=start,
            machines=self.machines,
            decide=self.campaign.decide,
            to_server=to_server,
        )
        end, record = self.campaign.finish(played.server.summary, played.total, played.aborted)
        self.records.append(record)
        self.ends.append(end)
        return record

    def to_the_end(self) -> list[Any]:
        while self.round() is not None:
            pass
        return self.records


def without(kind: type) -> Any:
    return lambda client, message: None if isinstance(message, kind) else message


def lying(client: ClientId, message: Any) -> Any:
    if client == 2 and isinstance(message, MaskedStatistics):
        words = np.frombuffer(message.payload, dtype="<u8").copy()
        words[0] += np.uint64(1)
        return replace(message, payload=words.tobytes())
    return message
