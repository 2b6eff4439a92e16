"""``auror protocol``: one round in memory, told phase by phase: who knows what by now.

The machines are the real ones. Every number that is told comes from their messages, and what the
server opens is compared with sums over the plain inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from auror.crypto.signing import SigningKey
from auror.errors import ConfigError
from auror.ids import ClientId, Digest, GroupIndex, RoundId
from auror.params import ClientPolicy, RoundParams
from auror.round.arithmetic import check_round, quantiser
from auror.round.client.machine import ClientMachine
from auror.round.client.memory import ClientMemory
from auror.round.description import (
    Roster,
    RosterEntry,
    RoundDescription,
    configuration_digest,
    model_digest,
)
from auror.round.messages import (
    AdvertisedKeys,
    ClientMessage,
    DealtShares,
    MaskedStatistics,
    RoundStart,
    UpdateShares,
    Upload,
)
from auror.round.plan import OutputLayer, StatisticsPlan
from auror.round.record import OpenedGroup
from auror.round.run import RoundOutcome, run_round
from auror.round.server.context import Decision, Phase
from auror.secagg.instance import Ring
from auror.secagg.quantize import ring_bits
from auror.sim.seeded import rounding_seed, seeded_bytes, seeded_entropy

DIM, STATISTICS = 6, 3
_TASK = b"{}"
_Message = TypeVar("_Message", AdvertisedKeys, DealtShares, Upload, MaskedStatistics, UpdateShares)


@dataclass(frozen=True)
class Scene:
    """One phase: what happens and what it makes known. ``steps`` are those of docs/protocol.md."""

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
    """Roster, machines, inputs, and every message that is sent."""

    def __init__(self, clients: int, group_size: int, seed: int) -> None:
        self.everybody = tuple(ClientId(i) for i in range(clients))
        keys = {c: SigningKey.draw(seeded_entropy(seed, "identity", c)) for c in self.everybody}
        nothing = Digest(bytes(32))
        self.roster = Roster.signed(
            "walkthrough",
            {c: RosterEntry(c, key.verify_key, nothing) for c, key in keys.items()},
            SigningKey.draw(seeded_entropy(seed, "operator")),
        )
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
        policy = ClientPolicy(min_cohort=2)
        self.sent: dict[tuple[ClientId, type[ClientMessage]], ClientMessage] = {}
        self.machines: Mapping[ClientId, ClientMachine] = {
            c: ClientMachine(
                c, keys[c], self.roster, policy, ClientMemory(), seeded_entropy(seed, "client", c)
            )
            for c in self.everybody
        }

    def overhear(self, client: ClientId, message: ClientMessage) -> None:
        """Keep what reaches the server, for the story."""
        self.sent[client, type(message)] = message

    def said(self, client: ClientId, kind: type[_Message]) -> _Message:
        """The one message of ``kind`` that ``client`` sent."""
        return next(m for (who, _), m in self.sent.items() if who == client and isinstance(m, kind))

    def start(self) -> RoundStart:
        description = RoundDescription(
            RoundId(0, seeded_bytes(self.seed, "round", length=16)),
            0,
            self.roster.deployment,
            model_digest(self.model),
            configuration_digest(self.params, _TASK),
            self.plan.digest(),
            self.roster.digest(),
            self.everybody,
        )
        return RoundStart(description, self.params, _TASK, self.plan, self.model)


def tell(clients: int, drop: int, exclude: int | None, group_size: int, seed: int) -> Story:
    """Play the round and write down who knows what.

    Raises:
        ConfigError: more dropouts than the round survives, or no such group.
    """
    if clients < 3:
        raise ConfigError(f"--clients {clients}: three or more make a round worth watching")
    cast = _Cast(clients, group_size, seed)
    topology = check_round(cast.params, clients)
    if not topology.complete:
        raise ConfigError(f"--clients {clients}: at most 100 fit on a screen")
    if drop > topology.silent:
        raise ConfigError(
            f"--drop {drop}: {clients} clients survive at most {topology.silent} dropouts"
            f" (t = {topology.shares} shares are needed); drop fewer or take more clients"
        )
    count = max(1, clients // group_size)
    if exclude is not None and not 0 <= exclude < count:
        raise ConfigError(
            f"--exclude-group {exclude}: {clients} clients make groups 0 … {count - 1} of"
            f" {group_size}"
        )
    gone = cast.everybody[clients - drop :]

    def decide(groups: tuple[OpenedGroup, ...], plan: StatisticsPlan) -> Decision:
        kept = tuple(group.index for group in groups if group.index != exclude)
        left = {} if exclude is None else {GroupIndex(exclude): "as asked"}
        return Decision(kept, left)

    outcome = run_round(
        cast.start(), cast.roster, cast.machines, cast.updates,
        lambda client: rounding_seed(seed, 0, client), decide,
        dict.fromkeys(gone, Phase.UPLOAD), overhear=cast.overhear,
    )  # fmt: skip
    story = Story(clients, group_size, topology.shares, [int(c) for c in gone])
    _check(story, cast, outcome)
    story.scenes = _scenes(story, cast, outcome)
    return story


def _check(story: Story, cast: _Cast, outcome: RoundOutcome) -> None:
    progress = outcome.progress
    story.groups = [[int(c) for c in group] for group in progress.groups]
    exact = True
    for group in progress.opened:
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
    progress, hero = outcome.progress, cast.everybody[0]
    others, t = story.clients - 1, story.threshold
    ring = Ring(ring_bits(story.clients, cast.params.quantisation_bits))
    keys, dealt = cast.said(hero, AdvertisedKeys), cast.said(hero, DealtShares)
    upload, statistics = cast.said(hero, Upload), cast.said(hero, MaskedStatistics)
    masked = [int(value) for value in ring.from_bytes(upload.payload, DIM)]
    plain = [int(value) for value in cast.quantised[hero]]
    mine = [int(value) for value in cast.plan.apply(cast.quantised[hero])]
    blurred = Ring(64).from_bytes(statistics.payload, STATISTICS)
    lost = ", ".join(str(c) for c in story.dropped)
    return [
        Scene("Advertise", "0.1 – 0.6", [
            "each draws three key pairs, two self-mask seeds and r, its part of the public dice",
            f"client 0 signs its public keys ({keys.update_mask.hex()[:8]}…) and a commitment to r",
        ], [f"who takes part: {story.clients} clients, all keys signed over the round's hash T"]),
        Scene("Share keys", "1.1 – 1.8", [
            f"client 0 splits five secrets so that any {t} of {story.clients} shares restore one",
            f"it seals {len(dealt.ciphertexts)} envelopes, one for each other, and commits to all",
        ], ["ciphertexts it cannot open, and hashes to hold liars to"]),
        Scene("Upload", "2.1 – 2.6", [
            f"client 0 has the quantised update          {_row(plain)}",
            f"it sends it masked against {others} others       {_row(masked)}",
            *([f"client {lost} vanishes: its secrets are already shared, so nothing is stuck"]
              if lost else []),
        ], [
            f"{len(progress.digests)} vectors that look random, modulo 2^{ring.bits}",
            "all r, opened by shares now that no update can change: the dice fall",
            f"groups: {_groups(story)}",
        ]),
        Scene("Statistics", "3.1 – 3.7", [
            f"client 0 computes u = P·q, three numbers: {_row(mine)}",
            f"it sends them masked inside its group:    {_row([int(v) for v in blurred[:1]])} …",
            "and signs h, the hash of everything it was told",
        ], [f"{len(progress.signatures)} masked vectors, and that they all saw the same round"]),
        Scene("Open statistics", "4.1 – 4.5", [
            "each gives shares of the statistics seeds of members who signed its own h",
        ], [
            *(f"group {index}: the sum over clients {_names(members)} is {_row(values)}"
              for index, members, values in _opened(story, outcome)),
            "of one client's three numbers: nothing beyond its group's sum",
        ]),
        Scene("Agree", "5.1 – 5.6", [
            "each checks that the accepted set A is made of whole groups, and signs it once",
        ], [
            f"A = clients {_names(story.accepted)}"
            + (f"; left out: {_left_out(outcome)}" if progress.left_out else ""),
        ]),
        _last(story, cast, outcome),
    ]  # fmt: skip


def _last(story: Story, cast: _Cast, outcome: RoundOutcome) -> Scene:
    hero = next(iter(outcome.progress.accepted), cast.everybody[0])
    if outcome.total is None:
        why = outcome.aborted.value if outcome.aborted is not None else ""
        return Scene("Abort", "4.5 – 6.5", ["nothing more is opened"], [f"{why}: no total"])
    shares = cast.said(hero, UpdateShares)
    seeds, keys = len(shares.shares.self_seeds), len(shares.shares.mask_keys)
    outside = [c for c in range(story.clients) if c not in story.accepted]
    return Scene("Unmask", "6.1 – 6.5", [
        f"client {hero} gives shares of {seeds} self-mask seeds (clients in A) and of {keys} mask",
        "keys (the others), never of both for one client",
    ], [
        f"the total over A: {_row(story.total)}",
        "P·total equals the sum of the accepted groups' statistics, bit for bit",
        *([f"not the updates of clients {_names(outside)}: their self masks stay on for ever"]
          if outside else []),
    ])  # fmt: skip


def _opened(story: Story, outcome: RoundOutcome) -> list[tuple[int, list[int], list[int]]]:
    return [
        (int(group.index), [int(c) for c in group.members], story.opened[str(group.index)])
        for group in outcome.progress.opened
    ]


def _left_out(outcome: RoundOutcome) -> str:
    found = sorted(outcome.progress.left_out.items())
    return ", ".join(f"group {index} ({why})" for index, why in found)


def _groups(story: Story) -> str:
    return "  ".join(f"{k} = {{{_names(group)}}}" for k, group in enumerate(story.groups))


def _names(clients: list[int]) -> str:
    return ", ".join(str(client) for client in clients)


def _row(values: list[int]) -> str:
    return "(" + " ".join(f"{value:>4}" for value in values) + ")"
