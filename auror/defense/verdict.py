"""From the ledger to a verdict that anyone can recompute (docs/defence.md, section 4)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auror.defense.confusion import LabelPair, label_pairs, read_pairs
from auror.defense.decode import Decoded, decode, gather, sweep
from auror.defense.features import FeatureKind
from auror.defense.ledger import Ledger, RoundObservation
from auror.defense.mixture import Candidate, appraise, own_effect, search
from auror.ids import ClientId


@dataclass(frozen=True, slots=True)
class VerdictParams:
    """Thresholds of the test; the defaults are calibrated (docs/defence.md, section 5).

    ``min_rounds``: rounds of evidence before anybody is judged.
    ``coverage``: independent group sums per client before anybody is judged.
    ``evidence``: log-evidence a set of clients needs, after correction for all sets and pairs.
    ``lone_evidence``: the same for a set of one: an outlier without company needs more.
    ``min_effect``: smallest common effect of a set, in honest spreads.
    ``client_z``: standard errors by which each flagged client must differ by itself.
    ``client_share``: and the part of the common effect that it must show.
    ``follow_z``: standard errors for a client that joins a pair already found.
    ``effect_spread``: relative standard deviation of the effect among attackers.
    ``prior_freedom``: ν₀, how far a pair's own spread may be from the typical pair's.
    ``shrinkage``: of the whitening covariances, in [0, 1].
    ``max_findings``: attacks (label pairs) named at most.
    ``calibrated_cohort``: the size of cohort for which ``evidence`` was calibrated.
    """

    min_rounds: int = 5
    coverage: float = 1.2
    evidence: float = 11.0
    lone_evidence: float = 13.0
    min_effect: float = 4.5
    client_z: float = 4.0
    client_share: float = 0.5
    follow_z: float = 4.5
    effect_spread: float = 0.4
    prior_freedom: float = 10.0
    shrinkage: float = 0.1
    max_findings: int = 8
    calibrated_cohort: int = 30

    def __post_init__(self) -> None:
        if not 0.0 < self.shrinkage <= 1.0 or not 0.0 < self.client_share <= 1.0:
            raise ValueError("shrinkage and client_share must lie above 0 and at most at 1")
        if self.min_rounds < 1 or self.prior_freedom < 0.0 or self.effect_spread <= 0.0:
            raise ValueError("min_rounds, prior_freedom and effect_spread must be positive")

    def needed(self, candidate: Candidate, cohort: int) -> float:
        """Log-evidence this candidate set must reach in a cohort of this size.

        Honest tails are heavier than the model's, and their share of the evidence grows with
        the number of clients: beyond the calibrated cohort the threshold grows with its root.
        """
        base = self.lone_evidence if len(candidate.members) == 1 else self.evidence
        return base * float(np.sqrt(max(1.0, cohort / self.calibrated_cohort)))


class Reason(enum.Enum):
    """Why a client is flagged or not."""

    INDICATED = "differs from the cohort in an indicative label pair"
    TOO_FEW_ROUNDS = "too few rounds of bound evidence"
    NO_EVIDENCE = "no opened group held this client"
    NO_PATTERN = "no set of clients stands out in any label pair"
    WITH_THE_COHORT = "lies with the cohort in the indicative label pairs"
    UNDECIDED = "leans towards the flagged clients, but the groups so far do not separate it"


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
    return _decide(clients, rounds, seen, decoded, label_pairs(classes), params)


def _decide(
    clients: list[ClientId],
    rounds: tuple[RoundObservation, ...],
    seen: NDArray[np.int64],
    decoded: Decoded,
    pairs: tuple[LabelPair, ...],
    params: VerdictParams,
) -> Verdict:
    eligible = seen > 0
    size = int(eligible.sum())
    flagged: list[int] = []
    found: list[Candidate] = []
    leading: Candidate | None = None
    strength, required = -np.inf, params.evidence
    for _ in range(params.max_findings):
        rest = sweep(decoded, flagged)
        candidate = search(rest, eligible, params.prior_freedom)
        if candidate is None:
            break
        if leading is None:
            leading, strength, required = candidate, candidate.score, params.needed(candidate, size)
        confirmed = _confirm(rest, candidate, int(eligible.sum()), size, params)
        if confirmed is None:
            break
        found.append(confirmed)
        flagged.extend(confirmed.members)
        eligible[flagged] = False
        found[-1] = _follow(sweep(decoded, flagged), confirmed, eligible, params)
        flagged.extend(found[-1].members[len(confirmed.members) :])
        eligible[flagged] = False
    entries = _describe(clients, seen, decoded, leading, found, strength - required, params)
    return Verdict(
        clients=entries,
        flagged=frozenset(entry.client for entry in entries if entry.flagged),
        indications=tuple(
            Indication(
                pairs[candidate.column].target,
                pairs[candidate.column].source,
                candidate.score,
                candidate.effect,
                tuple(sorted(clients[row] for row in candidate.members)),
            )
            for candidate in found
        ),
        source=pairs[found[0].column].source if found else None,
        target=pairs[found[0].column].target if found else None,
        strength=float(strength),
        required=required,
        rounds=tuple(entry.round_index for entry in rounds),
        groups=sum(len(entry.groups) for entry in rounds),
        params=params,
    )


def _confirm(
    decoded: Decoded, candidate: Candidate, choice: int, cohort: int, params: VerdictParams
) -> Candidate | None:
    """Drop members that do not stand apart by themselves, until the set is stable.

    The smaller set must carry the evidence alone; None when no set does. Whoever is dropped is
    undecided, neither attacker nor honest, so it gets an effect of its own in what follows.
    ``choice``: how many clients the set was chosen from; ``cohort``: how many were seen.
    """
    undecided: list[int] = []
    while (
        candidate.score >= params.needed(candidate, cohort)
        and candidate.effect >= params.min_effect
    ):
        rest = sweep(decoded, undecided)
        dropped = []
        for client in candidate.members:
            effect, z = own_effect(rest, candidate, client, params.effect_spread)
            if z < params.client_z or effect < params.client_share * candidate.effect:
                dropped.append(client)
        if not dropped:
            return candidate
        kept = tuple(client for client in candidate.members if client not in dropped)
        if not kept:
            break
        undecided.extend(dropped)
        rest = sweep(decoded, undecided)
        candidate = appraise(
            rest, candidate.column, kept, choice - len(undecided), params.prior_freedom
        )
    return None


def _follow(
    rest: Decoded, found: Candidate, eligible: NDArray[np.bool_], params: VerdictParams
) -> Candidate:
    """Add single clients that show the found effect too, now that the pair is known.

    ``rest``: the evidence with the found set taken out. One pair instead of all is looked at,
    and the size of the effect is known, so no correction over pairs and sets is due.
    """
    chi2 = float(rest.chi2[found.column])
    nobody = replace(
        found,
        members=(),
        variance=(params.prior_freedom + chi2) / (params.prior_freedom + rest.rank),
    )
    added = []
    for client in np.flatnonzero(eligible):
        effect, z = own_effect(rest, nobody, int(client), params.effect_spread)
        if z >= params.follow_z and effect >= params.client_share * found.effect:
            added.append(int(client))
    return replace(found, members=found.members + tuple(added))


def _describe(
    clients: list[ClientId],
    seen: NDArray[np.int64],
    decoded: Decoded,
    leading: Candidate | None,
    found: list[Candidate],
    margin: float,
    params: VerdictParams,
) -> tuple[ClientVerdict, ...]:
    """Score everybody at the leading pair; a flagged client at the pair that flagged it."""
    home = {row: candidate for candidate in found for row in candidate.members}
    leading = found[0] if found else leading
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
                row in home,
                float(z),
                float(effect),
                confidence,
                int(seen[row]),
                _reason(row in home, bool(seen[row]), bool(found), z, effect, leading, params),
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
