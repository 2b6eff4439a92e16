"""What is told of each phase of a round: what happens, and who knows what by then."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from auror.round.messages import (
    AdvertisedKeys,
    Agreement,
    Consistency,
    DealtShares,
    MaskedStatistics,
    RandomnessShares,
    Receipt,
    UpdateShares,
    Upload,
)
from auror.round.run import RoundOutcome
from auror.secagg.instance import Ring
from auror.secagg.quantise import ring_bits
from auror.tools.cast import DIM, STATISTICS, Cast


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


def scenes(story: Story, cast: Cast, outcome: RoundOutcome) -> list[Scene]:
    end = _abort(outcome) if outcome.total is None else _unmask(story, cast, outcome)
    return [*_setup(story, cast, outcome), *_draw(story, cast),
            _statistics(story, cast, outcome), *end]  # fmt: skip


def _setup(story: Story, cast: Cast, outcome: RoundOutcome) -> list[Scene]:
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


def _draw(story: Story, cast: Cast) -> list[Scene]:
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


def _statistics(story: Story, cast: Cast, outcome: RoundOutcome) -> Scene:
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


def _unmask(story: Story, cast: Cast, outcome: RoundOutcome) -> list[Scene]:
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
