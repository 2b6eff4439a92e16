"""From the ledger to a verdict that anyone can recompute (docs/defence.md, section 4)."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from auror.defense.confusion import LabelPair, label_pairs, read_pairs
from auror.defense.consistency import Implausible, implausible
from auror.defense.decode import Decoded, decode, gather
from auror.defense.features import FeatureKind
from auror.defense.ledger import Ledger, RoundObservation
from auror.defense.mixture import Candidate, own_effect
from auror.defense.selection import Selection, VerdictParams, select
from auror.ids import ClientId

__all__ = [
    "ClientVerdict",
    "Indication",
    "Reason",
    "Verdict",
    "VerdictParams",
    "judge",
]


class Reason(enum.Enum):
    """Why a client is flagged or not."""

    INDICATED = "differs from the cohort in an indicative label pair"
    TOO_FEW_ROUNDS = "too few rounds of bound evidence"
    NO_EVIDENCE = "no opened group held this client"
    NO_PATTERN = "no set of clients stands out in any label pair"
    WITH_THE_COHORT = "lies with the cohort in the indicative label pairs"
    UNDECIDED = "leans towards the flagged clients, but the groups so far do not separate it"
    UNSTEADY = Implausible.UNSTEADY.value
    TOO_LARGE = Implausible.TOO_LARGE.value


@dataclass(frozen=True, slots=True)
class Indication:
    """One indicative feature: a label pair in which a set of clients stands apart."""

    target: int
    source: int
    evidence: float
    effect: float
    clients: tuple[ClientId, ...]


@dataclass(frozen=True, slots=True)
class ClientVerdict:
    """One client: ``score`` in standard errors, ``effect`` in honest spreads at the leading pair.

    ``confidence``: probability in [0, 1] that the client carries the effect; ``groups``: how
    many opened groups held it.
    """

    client: ClientId
    flagged: bool
    score: float
    effect: float
    confidence: float
    groups: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Verdict:
    """Evidence about every client, and who is flagged.

    ``source``, ``target``: class names of the strongest indication, None when there is none.
    ``strength``: log-evidence of the best candidate, flagged or not; ``required``: what it
    would have needed. ``rounds``: the rounds it rests on; ``groups``: opened groups in them.
    """

    clients: tuple[ClientVerdict, ...]
    flagged: frozenset[ClientId]
    indications: tuple[Indication, ...]
    source: int | None
    target: int | None
    strength: float
    required: float
    rounds: tuple[int, ...]
    groups: int
    params: VerdictParams

    @property
    def scores(self) -> dict[ClientId, float]:
        """Score by client."""
        return {entry.client: entry.score for entry in self.clients}

    def to_dict(self) -> dict[str, object]:
        """JSON-able form."""
        return {
            "flagged": sorted(int(client) for client in self.flagged),
            "source": self.source,
            "target": self.target,
            "strength": self.strength,
            "required": self.required,
            "rounds": list(self.rounds),
            "groups": self.groups,
            "indications": [
                {**asdict(entry), "clients": [int(client) for client in entry.clients]}
                for entry in self.indications
            ],
            "clients": [
                {**asdict(entry), "client": int(entry.client), "reason": entry.reason.value}
                for entry in self.clients
            ],
            "params": asdict(self.params),
        }


def judge(ledger: Ledger, params: VerdictParams, cohort: Iterable[ClientId]) -> Verdict:
    """Verdict on ``cohort`` and on whoever else is in the ledger. Deterministic.

    The server calls it after every round on the bound evidence so far. Clients flagged before
    stay in the ledger and are flagged again by the same evidence; whoever they hid is judged
    with their part taken out.

    Raises ValueError when the ledger has no confusion block.
    """
    block = ledger.block(FeatureKind.CONFUSION)
    if block is None:
        raise ValueError("the verdict needs a confusion block in the statistics plan")
    rounds = tuple(entry for entry in ledger.rounds if len(entry.groups) >= 2)
    members = {m for entry in rounds for group in entry.groups for m in group.members}
    clients = sorted(set(cohort) | members)
    # Every round's level costs one equation; fewer equations than clients leave it to the
    # regulariser who of two companions is the odd one.
    equations = sum(len(entry.groups) - 1 for entry in rounds)
    if len(rounds) < params.min_rounds or equations < params.coverage * (len(members) - 1):
        return _held(clients, rounds, params, Reason.TOO_FEW_ROUNDS)
    position = {client: row for row, client in enumerate(clients)}
    groups = [[[position[m] for m in g.members] for g in entry.groups] for entry in rounds]
    classes = block.shape[0]
    means = [
        np.stack([g.mean[block.start : block.stop].reshape(classes, classes) for g in entry.groups])
        for entry in rounds
    ]
    sizes = [[len(group) for group in entry] for entry in groups]
    values = read_pairs(means, sizes, params.shrinkage)
    decoded = decode(gather(groups, values, len(clients)))
    seen = np.zeros(len(clients), dtype=np.int64)
    for entry in groups:
        for group in entry:
            seen[group] += 1
    chosen, pairs = select(decoded, seen > 0, params), label_pairs(classes)
    held = {
        client: reason
        for candidate in chosen.found
        for client, reason in implausible(
            groups, means, values, decoded, candidate, pairs[candidate.column]
        ).items()
    }
    return _decide(clients, rounds, seen, decoded, pairs, chosen, held, params)


def _decide(
    clients: list[ClientId],
    rounds: tuple[RoundObservation, ...],
    seen: NDArray[np.int64],
    decoded: Decoded,
    pairs: tuple[LabelPair, ...],
    chosen: Selection,
    held: Mapping[int, Implausible],
    params: VerdictParams,
) -> Verdict:
    entries = _describe(clients, seen, decoded, chosen, held, params)
    found = [candidate for candidate in chosen.found if set(candidate.members) - held.keys()]
    return Verdict(
        clients=entries,
        flagged=frozenset(entry.client for entry in entries if entry.flagged),
        indications=tuple(
            Indication(
                pairs[candidate.column].target,
                pairs[candidate.column].source,
                candidate.score,
                candidate.effect,
                tuple(sorted(clients[row] for row in candidate.members if row not in held)),
            )
            for candidate in found
        ),
        source=pairs[found[0].column].source if found else None,
        target=pairs[found[0].column].target if found else None,
        strength=chosen.strength,
        required=chosen.required,
        rounds=tuple(entry.round_index for entry in rounds),
        groups=sum(len(entry.groups) for entry in rounds),
        params=params,
    )


def _describe(
    clients: list[ClientId],
    seen: NDArray[np.int64],
    decoded: Decoded,
    chosen: Selection,
    held: Mapping[int, Implausible],
    params: VerdictParams,
) -> tuple[ClientVerdict, ...]:
    """Score everybody at the leading pair; a flagged client at the pair that flagged it."""
    found, margin = chosen.found, chosen.strength - chosen.required
    home = {row: candidate for candidate in found for row in candidate.members}
    leading = found[0] if found else chosen.leading
    belief = 1.0 / (1.0 + np.exp(-np.clip(margin, -50.0, 50.0)))
    entries = []
    for row, client in enumerate(clients):
        candidate = home.get(row, leading)
        effect = z = confidence = 0.0
        if candidate is not None and seen[row]:
            effect, z = own_effect(decoded, candidate, row, params.effect_spread)
            # Log-likelihood ratio of "carries the common effect" against "carries none".
            error = abs(effect / z) if z else np.inf
            lean = candidate.effect * (effect - candidate.effect / 2.0) / max(error**2, 1e-9)
            confidence = float(belief / (1.0 + np.exp(-np.clip(lean, -50.0, 50.0))))
        entries.append(
            ClientVerdict(
                client,
                row in home and row not in held,
                float(z),
                float(effect),
                confidence,
                int(seen[row]),
                Reason(held[row].value)
                if row in held
                else _reason(row in home, bool(seen[row]), bool(found), z, effect, leading, params),
            )
        )
    return tuple(entries)


def _reason(
    flagged: bool,
    seen: bool,
    found: bool,
    z: float,
    effect: float,
    leading: Candidate | None,
    params: VerdictParams,
) -> Reason:
    if flagged:
        return Reason.INDICATED
    if not seen:
        return Reason.NO_EVIDENCE
    if not found or leading is None:
        return Reason.NO_PATTERN
    leans = effect >= params.client_share * leading.effect
    return Reason.UNDECIDED if leans and z > 0.0 else Reason.WITH_THE_COHORT


def _held(
    clients: list[ClientId],
    rounds: tuple[RoundObservation, ...],
    params: VerdictParams,
    reason: Reason,
) -> Verdict:
    counts = dict.fromkeys(clients, 0)
    for entry in rounds:
        for group in entry.groups:
            for member in group.members:
                counts[member] += 1
    return Verdict(
        clients=tuple(
            ClientVerdict(client, False, 0.0, 0.0, 0.0, counts[client], reason)
            for client in clients
        ),
        flagged=frozenset(),
        indications=(),
        source=None,
        target=None,
        strength=0.0,
        required=params.evidence,
        rounds=tuple(entry.round_index for entry in rounds),
        groups=sum(len(entry.groups) for entry in rounds),
        params=params,
    )
