"""``auror protocol``: one round in memory, told phase by phase: who knows what by now.

The machines are the real ones. Every number that is told comes from their messages, and what the
server opens is compared with sums over the plain inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from auror.crypto.signing import SigningKey
from auror.errors import ConfigError
from auror.fields import Like, Range, check_fields
from auror.ids import ClientId, GroupIndex, RoundId
from auror.params import Budget, OwnRules, PlanCaps, RoundParams
from auror.round.arithmetic import check_round, quantiser
from auror.round.client.machine import ClientMachine
from auror.round.client.memory import ClientMemory
from auror.round.description import RoundDescription, model_digest
from auror.round.messages import (
    AdvertisedKeys,
    Agreement,
    ClientMessage,
    Consistency,
    DealtShares,
    MaskedStatistics,
    RandomnessShares,
    Receipt,
    RoundStart,
    UpdateShares,
    Upload,
)
from auror.round.plan import OutputLayer, StatisticsPlan
from auror.round.policy import DEPLOYMENT_BYTES, NO_DIGEST, Policy, RosterEntry
from auror.round.record import OpenedGroup
from auror.round.run import RoundOutcome, run_round
from auror.round.server.context import Decision, Phase
from auror.secagg.instance import Ring
from auror.secagg.quantize import ring_bits
from auror.sim.seeded import rounding_seed, seeded_bytes, seeded_entropy

DIM, STATISTICS = 6, 3
_Message = TypeVar(
    "_Message",
    AdvertisedKeys,
    DealtShares,
    Receipt,
    Upload,
    Consistency,
    RandomnessShares,
    MaskedStatistics,
    Agreement,
    UpdateShares,
)


@dataclass(frozen=True)
class Scene:
    """One phase: what happens and what it makes known. ``steps`` are those of docs/protocol.md."""

    phase: str
    title: str
    steps: str
    clients: list[str]
    server: list[str]


@dataclass
class Story:
    """The whole round."""

    clients: int
    group_size: int
    threshold: int
    quorum: int
    dropped: list[int]
    groups: list[list[int]] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    opened: dict[str, list[int]] = field(default_factory=dict)
    """Group → its opened statistics sum."""
    total: list[int] = field(default_factory=list)
    exact: bool = False
    """Whether everything that was opened equals sums over the plain inputs."""
    scenes: list[Scene] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


class _Cast:
    """Policy, machines, inputs, and every message that is sent."""

    def __init__(self, clients: int, group_size: int, seed: int) -> None:
        self.everybody = tuple(ClientId(i) for i in range(clients))
        keys = {c: SigningKey.draw(seeded_entropy(seed, "identity", c)) for c in self.everybody}
        self.params = RoundParams(
            group_size=group_size,
            colluders=0,
            quantisation_bits=8,
            quantisation_range=1.0,
            challenge_rows=0,
        )
        self.plan = StatisticsPlan(DIM, (OutputLayer(0, STATISTICS),))
        rng = np.random.default_rng(seed)
        self.model = rng.normal(size=DIM).astype(np.float32)
        self.updates = {c: rng.uniform(-1, 1, size=DIM).astype(np.float32) for c in self.everybody}
        self.seed = seed
        self.quantised: dict[ClientId, NDArray[np.int64]] = {
            c: quantiser(self.params)
            .quantise(self.updates[c], rounding_seed(seed, 0, c))
            .astype(np.int64)
            for c in self.everybody
        }
        self.policy = Policy(
            deployment=seeded_bytes(seed, "deployment", length=DEPLOYMENT_BYTES),
            version=1,
            expires=1,
            predecessor=NO_DIGEST,
            members={c: RosterEntry(c, key.verify_key, NO_DIGEST) for c, key in keys.items()},
            params=self.params,
            caps=PlanCaps(parts=("output-layer",)),
            task=b"{}",
            first_models=(model_digest(self.model),),
            budget=Budget.for_rounds(1, 1),
        ).signed(SigningKey.draw(seeded_entropy(seed, "operator")))
        self.sent: dict[tuple[ClientId, type[ClientMessage]], ClientMessage] = {}
        self.machines: Mapping[ClientId, ClientMachine] = {
            c: ClientMachine(
                c,
                keys[c],
                self.policy,
                OwnRules(),
                ClientMemory(),
                seeded_entropy(seed, "client", c),
                lambda: 0.0,
            )
            for c in self.everybody
        }

    def overhear(self, client: ClientId, message: ClientMessage) -> None:
        """Keep what reaches the server, for the story."""
        self.sent[client, type(message)] = message

    def said(self, client: ClientId, kind: type[_Message]) -> _Message:
        """The one message of ``kind`` that ``client`` sent."""
        return next(m for (who, _), m in self.sent.items() if who == client and isinstance(m, kind))

    def all_said(self, kind: type[_Message]) -> list[_Message]:
        """Everybody's message of ``kind``."""
        return [message for message in self.sent.values() if isinstance(message, kind)]

    def start(self) -> RoundStart:
        description = RoundDescription(
            deployment=self.policy.deployment,
            policy=self.policy.digest(),
            policy_version=self.policy.version,
            round_id=RoundId(0, seeded_bytes(self.seed, "round", length=16)),
            attempt=0,
            era=0,
            step=0,
            disputed=False,
            parent=NO_DIGEST,
            model=model_digest(self.model),
            plan=self.plan.digest(),
            cohort=self.everybody,
        )
        return RoundStart(description, self.plan, self.model)


@dataclass(frozen=True, kw_only=True)
class Walk:
    """The round to be told."""

    clients: Annotated[int, Range(3)] = 10
    """n, clients in the round."""
    drop: Annotated[int, Range(0)] = 1
    """How many of them vanish before their upload."""
    exclude_group: Annotated[int, Range(0)] | None = None
    """A group that the defence leaves out; by default none."""
    group_size: Annotated[int, Like(RoundParams)] = 3
    """g, clients per group."""
    seed: Annotated[int, Range(0)] = 1
    """Decides everything random."""

    def __post_init__(self) -> None:
        check_fields(self)


def tell(walk: Walk) -> Story:
    """Play the round and write down who knows what.

    Raises:
        ConfigError: more dropouts than the round survives, or no such group.
    """
    clients, drop, exclude = walk.clients, walk.drop, walk.exclude_group
    group_size, seed = walk.group_size, walk.seed
    cast = _Cast(clients, group_size, seed)
    topology = check_round(cast.params, clients)
    if not topology.complete:
        raise ConfigError(f"clients = {clients}: at most 100 fit on a screen")
    fewest = cast.policy.floors(topology, disputed=False).present
    if drop > clients - fewest:
        raise ConfigError(
            f"drop = {drop}: {clients} clients survive at most {clients - fewest} dropouts"
            f" ({fewest} must stay); drop fewer or take more clients"
        )
    uploads = clients - drop
    count = uploads // group_size  # never none: the floor above is a group's worth
    if exclude is not None and not 0 <= exclude < count:
        raise ConfigError(
            f"exclude_group = {exclude}: {uploads} uploads make groups 0 … {count - 1} of"
            f" {group_size}"
        )
    gone = cast.everybody[clients - drop :]

    def decide(groups: tuple[OpenedGroup, ...], plan: StatisticsPlan) -> Decision:
        kept = tuple(group.index for group in groups if group.index != exclude)
        left = {} if exclude is None else {GroupIndex(exclude): "as asked"}
        return Decision(kept, left)

    outcome = run_round(
        cast.start(), cast.policy, cast.machines, cast.updates,
        lambda client: rounding_seed(seed, 0, client), decide,
        dict.fromkeys(gone, Phase.UPLOAD), overhear=cast.overhear,
    )  # fmt: skip
    story = Story(clients, group_size, topology.shares, topology.quorum, [int(c) for c in gone])
    _check(story, cast, outcome)
    story.scenes = _scenes(story, cast, outcome)
    return story


def _check(story: Story, cast: _Cast, outcome: RoundOutcome) -> None:
    summary = outcome.summary
    story.groups = [[int(c) for c in group] for group in summary.groups]
    exact = True
    for group in summary.opened:
        plain = sum(cast.plan.apply(cast.quantised[c]) for c in group.members)
        exact &= bool(np.array_equal(group.total, plain))
        story.opened[str(group.index)] = [int(value) for value in group.total]
    if outcome.total is not None:
        story.accepted = [int(c) for c in outcome.total.accepted]
        story.total = [int(value) for value in outcome.total.total]
        plain = np.sum([cast.quantised[c] for c in outcome.total.accepted], axis=0)
        exact &= bool(np.array_equal(outcome.total.total, plain))
    story.exact = exact


def _scenes(story: Story, cast: _Cast, outcome: RoundOutcome) -> list[Scene]:
    end = _abort(outcome) if outcome.total is None else _unmask(story, cast, outcome)
    return [*_setup(story, cast, outcome), *_draw(story, cast, outcome),
            _statistics(story, cast, outcome), *end]  # fmt: skip


def _setup(story: Story, cast: _Cast, outcome: RoundOutcome) -> list[Scene]:
    """Phases 0 to 2."""
    summary, hero = outcome.summary, cast.everybody[0]
    n, t = story.clients, story.threshold
    ring = Ring(ring_bits(n, cast.params.quantisation_bits))
    keys, dealt = cast.said(hero, AdvertisedKeys), cast.said(hero, DealtShares)
    masked = [int(v) for v in ring.from_bytes(cast.said(hero, Upload).payload, DIM)]
    plain = [int(value) for value in cast.quantised[hero]]
    named = {int(c) for receipt in cast.all_said(Receipt) for c in receipt.unreadable}
    unreadable = _names(sorted(named))
    lost = ", ".join(str(c) for c in story.dropped)
    return [
        Scene("0", "Advertise", "0.1 – 0.8", [
            "each draws three key pairs, a self-mask seed and r, its part of the public dice",
            f"client 0 signs its public keys ({keys.update_mask.hex()[:8]}…) and a commitment to r",
        ], [f"who takes part: {n} clients, all keys signed over the round's hash T"]),
        Scene("1", "Share keys", "1.1 – 1.6", [
            f"client 0 splits its seed, its mask key and r: any {t} of {n} shares restore one",
            f"it seals {len(dealt.ciphertexts)} envelopes, one for each other, and commits to all",
            "the key of its statistics masks it shares with nobody",
        ], ["ciphertexts it cannot open, and hashes to hold liars to"]),
        Scene("1b", "Receipts", "1.7 – 1.10", [
            "each opens its envelopes and signs whose it cannot read: "
            + (unreadable or "nobody's"),
        ], [f"whose secrets can be restored: {len(summary.dealt)} dealers; U2 is final"]),
        Scene("2", "Upload", "2.1 – 2.5", [
            f"client 0 has the quantised update          {_row(plain)}",
            f"it sends it masked against {n - 1} others       {_row(masked)}",
            *([f"client {lost} vanishes: its secrets are already shared, so nothing is stuck"]
              if lost else []),
        ], [f"{len(summary.uploaded)} vectors that look random, modulo 2^{ring.bits}"]),
    ]  # fmt: skip


def _draw(story: Story, cast: _Cast, outcome: RoundOutcome) -> list[Scene]:
    """Phases 3a and 3b: first the set, then the dice."""
    signed = len(cast.all_said(Consistency))
    given = cast.said(cast.everybody[0], RandomnessShares)
    return [
        Scene("3a", "Agree on the uploads", "3.1 – 3.5", [
            "each checks that U3 holds its own upload unchanged, and signs U3 once",
        ], [
            f"{signed} signatures under one U3, {story.quorum} are needed: it is final",
        ]),
        Scene("3b", "Draw", "3.6 – 3.10", [
            f"shown these, client 0 gives its shares of {len(given.shares)} r",
        ], [
            "all r, now that neither updates nor U3 can change: the dice fall",
            f"groups: {_groups(story)}",
        ]),
    ]  # fmt: skip


def _statistics(story: Story, cast: _Cast, outcome: RoundOutcome) -> Scene:
    hero = cast.everybody[0]
    mine = [int(value) for value in cast.plan.apply(cast.quantised[hero])]
    blurred = Ring(64).from_bytes(cast.said(hero, MaskedStatistics).payload, STATISTICS)
    return Scene("4", "Statistics", "4.1 – 4.8", [
        f"client 0 computes u = P·q, three numbers: {_row(mine)}",
        f"it sends them masked inside its group:    {_row([int(v) for v in blurred[:1]])} …",
        "these masks cancel when the whole group has sent, and nobody can take them off before",
        "and it signs h, the hash of everything it was told",
    ], [
        *(f"group {index}: the sum over clients {_names(members)} is {_row(values)}"
          for index, members, values in _opened(story, outcome)),
        "of one client's three numbers: nothing beyond its group's sum",
    ])  # fmt: skip


def _abort(outcome: RoundOutcome) -> list[Scene]:
    why = outcome.aborted.value if outcome.aborted is not None else ""
    left = f"left out: {_left_out(outcome)}" if outcome.summary.left_out else ""
    return [
        Scene("5", "Abort", "5.1 – 6.5", ["nothing more is opened"],
              [*([left] if left else []), f"{why}: no total"]),
    ]  # fmt: skip


def _unmask(story: Story, cast: _Cast, outcome: RoundOutcome) -> list[Scene]:
    """Phases 5 to 7 of a round that ends well."""
    summary = outcome.summary
    hero = summary.accepted[0]
    shares = cast.said(hero, UpdateShares)
    agreed = len(cast.all_said(Agreement))
    seeds, keys = len(shares.shares.self_seeds), len(shares.shares.mask_keys)
    outside = [c for c in range(story.clients) if c not in story.accepted]
    return [
        Scene("5", "Agree", "5.1 – 5.6", [
            "each checks that the accepted set A is made of whole groups, and signs it once",
        ], [
            f"A = clients {_names(story.accepted)}"
            + (f"; left out: {_left_out(outcome)}" if summary.left_out else ""),
        ]),
        Scene("6", "Unmask", "6.1 – 6.5", [
            f"shown {agreed} signatures under its own h and A, client {hero} gives",
            f"shares of {seeds} self-mask seeds (clients in A) and of {keys} mask keys (others),",
            "never of both for one client",
        ], [
            f"the total over A: {_row(story.total)}",
            "P·total equals the sum of the accepted groups' statistics, bit for bit",
            *([f"not the updates of clients {_names(outside)}: their self masks stay on for ever"]
              if outside else []),
        ]),
        Scene("7", "Localise", "7.1 – 7.6", [
            "not needed: had P·total differed, each would open its masks across groups",
        ], ["nothing more; nobody is blamed"]),
    ]  # fmt: skip


def _opened(story: Story, outcome: RoundOutcome) -> list[tuple[int, list[int], list[int]]]:
    return [
        (int(group.index), [int(c) for c in group.members], story.opened[str(group.index)])
        for group in outcome.summary.opened
    ]


def _left_out(outcome: RoundOutcome) -> str:
    found = sorted(outcome.summary.left_out.items())
    return ", ".join(f"group {index} ({why})" for index, why in found)


def _groups(story: Story) -> str:
    return "  ".join(f"{k} = {{{_names(group)}}}" for k, group in enumerate(story.groups))


def _names(clients: list[int]) -> str:
    return ", ".join(str(client) for client in clients)


def _row(values: list[int]) -> str:
    return "(" + " ".join(f"{value:>4}" for value in values) + ")"
