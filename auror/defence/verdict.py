"""From the ledger to a verdict that anyone can recompute (docs/defence.md, section 4)."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auror.defence.blocks import blocks_of
from auror.defence.clearing import cleared
from auror.defence.confusion import Reading, RoundShown, look, read
from auror.defence.consistency import (
    ALL_ROUNDS,
    LATER_ROUNDS,
    Implausible,
    implausible,
)
from auror.defence.features import FeatureKind
from auror.defence.ledger import Arranged, Ledger, arrange
from auror.defence.selection import (
    Cohort,
    Finding,
    Selection,
    VerdictParams,
    select,
    steadfast,
)
from auror.defence.windows import WHOLE_RUN, Window, late_windows
from auror.ids import ClientId

__all__ = [
    "ClientVerdict",
    "DecodedVerdict",
    "Indication",
    "Reason",
    "VerdictParams",
    "judge",
]


class Reason(enum.Enum):
    """Why a client is flagged or not."""

    INDICATED = "differs from the cohort in an indicative reading"
    TOO_FEW_ROUNDS = "too few rounds of bound evidence"
    NO_EVIDENCE = "no opened group held this client"
    TOO_SKEWED = "the clients' labels are dealt too unevenly to tell who mislabels"
    NO_PATTERN = "no set of clients stands out in any reading"
    WITH_THE_COHORT = "lies with the cohort in the indicative readings"
    UNDECIDED = "leans towards the flagged clients, but the groups so far do not separate it"
    UNSTEADY = Implausible.UNSTEADY.value
    TOO_LARGE = Implausible.TOO_LARGE.value


@dataclass(frozen=True, slots=True)
class Indication:
    """One indicative reading, in which clients stand apart.

    ``source`` and ``target``: of a label pair; of everything-as-t only the target; neither when
    the clients step against the cohort. ``evidence``: log-odds after the correction for all
    readings; ``effect``: mean of the clients, in honest spreads.
    """

    attack: str
    target: int | None
    source: int | None
    evidence: float
    effect: float
    clients: tuple[ClientId, ...]


@dataclass(frozen=True, slots=True)
class ClientVerdict:
    """One client at the leading reading, a flagged one at the reading that flagged it.

    ``score``: effect in posterior standard deviations; ``effect`` in honest spreads;
    ``confidence``: probability in [0, 1] that the client attacks so; ``groups``: how many opened
    groups held it; ``cleared``: it may be invited, and would have been found by now
    (``auror.defence.clearing``).
    """

    client: ClientId
    flagged: bool
    score: float
    effect: float
    confidence: float
    groups: int
    reason: Reason
    cleared: bool = False


@dataclass(frozen=True, slots=True)
class DecodedVerdict:
    """Evidence about every client, and who is flagged.

    ``doubted``: clients that stand out, but not steadily (``consistency``), and do so too when the
    sums' scatter is taken for noise: attackers whose effects vary, or victims of lies.
    ``source``, ``target``: class names of the first indication, None where it has none.
    ``strength``: log-odds of the strongest reading, flagged or not; ``required``: what it
    would have needed. ``rounds``: the rounds it rests on; ``groups``: opened groups in them.
    """

    clients: tuple[ClientVerdict, ...]
    flagged: frozenset[ClientId]
    doubted: frozenset[ClientId]
    indications: tuple[Indication, ...]
    source: int | None
    target: int | None
    strength: float
    required: float
    rounds: tuple[int, ...]
    groups: int
    params: VerdictParams

    @property
    def cleared(self) -> frozenset[ClientId]:
        """Who would have been found by now if it lied."""
        return frozenset(entry.client for entry in self.clients if entry.cleared)

    @property
    def scores(self) -> dict[ClientId, float]:
        """Score by client."""
        return {entry.client: entry.score for entry in self.clients}

    def to_dict(self) -> dict[str, object]:
        """JSON-able form."""
        return {
            "flagged": sorted(int(client) for client in self.flagged),
            "doubted": sorted(int(client) for client in self.doubted),
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


def judge(ledger: Ledger, params: VerdictParams, cohort: Iterable[ClientId]) -> DecodedVerdict:
    """Verdict on ``cohort``, whom the next round may invite, and on whoever else is in the ledger.
    Deterministic.

    The server calls it after every round on the bound evidence so far. Clients flagged before
    stay in the ledger and are flagged again by the same evidence; whoever they hid is judged
    with their part taken out. Late windows are judged by themselves (``windows``): whoever all
    rounds together accuse may have any effect there, and what is left must show that others lie.
    Whom only a window flagged is not flagged again once it is not invited.

    Raises ValueError when the ledger has no confusion block.
    """
    block = ledger.block(FeatureKind.CONFUSION)
    if block is None:
        raise ValueError("the verdict needs a confusion block in the statistics plan")
    invited = frozenset(cohort)
    everything = arrange(ledger, block, invited)
    shown = look(everything.means, everything.grams, everything.sizes)
    verdict = _judge_window(everything, shown, invited, params, WHOLE_RUN)
    for window in late_windows(len(everything.rounds)):
        late = _judge_window(everything, shown, invited, params, window, verdict.flagged)
        if late.flagged & invited:
            return _both(verdict, late)
    return verdict


def _both(whole: DecodedVerdict, late: DecodedVerdict) -> DecodedVerdict:
    """``late``, and whom ``whole`` flagged before or doubts: those are not in late rounds any more,
    and a window may hold too little of what these do."""
    of_whole = whole.flagged | whole.doubted
    before = {entry.client: entry for entry in whole.clients if entry.client in of_whole}
    return replace(
        late,
        clients=tuple(
            entry if entry.flagged else before.get(entry.client, entry) for entry in late.clients
        ),
        flagged=late.flagged | whole.flagged,
        doubted=(late.doubted | whole.doubted) - late.flagged - whole.flagged,
        indications=(*late.indications, *whole.indications),
    )


def _judge_window(
    everything: Arranged,
    shown: Sequence[RoundShown],
    invited: frozenset[ClientId],
    params: VerdictParams,
    window: Window,
    accused: frozenset[ClientId] = frozenset(),
) -> DecodedVerdict:
    seen_in, late = everything.since(window.start), window.start > 0
    guard = LATER_ROUNDS if late else ALL_ROUNDS
    spent = replace(params, alpha=window.share * params.alpha)
    counts = seen_in.seen
    # Fewer equations than clients leave it to the prior who of two companions is the odd one.
    coverage = seen_in.equations / max(int((counts > 0).sum()) - 1, 1)
    if len(seen_in.rounds) < params.min_rounds or coverage < params.coverage:
        return _held(seen_in, counts, spent.required(len(seen_in.clients)), params)
    readings = read(shown, window.start)
    blocks = blocks_of(seen_in.groups, readings, len(seen_in.clients), params)
    present = frozenset(k for k, client in enumerate(seen_in.clients) if client in invited)
    # Groups grow when few clients are left: the smallest tell the configured size.
    size = min(float(np.mean(sizes)) for sizes in seen_in.sizes)
    known = tuple(k for k, client in enumerate(seen_in.clients) if client in accused and counts[k])
    around = Cohort(counts > 0, coverage, present, size, known)
    too_skewed = readings.skew > params.max_skew
    judged = blocks[-1:] if too_skewed else blocks
    chosen = select(judged, around, spent, late=late)
    held: dict[int, Implausible] = {}
    doubted: set[int] = set()
    for finding in chosen.found:
        guarded = implausible(seen_in, finding, guard, known)
        held |= guarded.held
        if guarded.held:
            others = [m for other in chosen.found if other is not finding for m in other.members]
            steady = steadfast(finding, [*known, *others], around, guarded.dispersion, spent)
            doubted |= guarded.held.keys() & set(steady)
    nothing = Reason.TOO_SKEWED if too_skewed else Reason.NO_PATTERN
    clear = frozenset() if too_skewed else cleared(blocks, chosen, around, params.alpha)
    # Whom a window flagged may be in none that is judged now: who is not invited is not cleared.
    clear = (clear & present) - doubted
    return _decide(seen_in, counts, chosen, held, doubted, clear, nothing, params)


def _decide(
    seen_in: Arranged,
    counts: NDArray[np.int64],
    chosen: Selection,
    held: Mapping[int, Implausible],
    doubted: Iterable[int],
    clear: frozenset[int],
    nothing: Reason,
    params: VerdictParams,
) -> DecodedVerdict:
    """``nothing``: the reason that clients are given when no reading indicates anybody."""
    entries = _describe(seen_in, counts, chosen, held, clear, nothing, params)
    indications = tuple(
        indication
        for finding in chosen.found
        if (indication := _indication(finding, seen_in.clients, held)).clients
    )
    return DecodedVerdict(
        clients=entries,
        flagged=frozenset(entry.client for entry in entries if entry.flagged),
        doubted=frozenset(seen_in.clients[row] for row in doubted),
        indications=indications,
        source=indications[0].source if indications else None,
        target=indications[0].target if indications else None,
        strength=chosen.strength,
        required=chosen.required,
        rounds=seen_in.round_indices,
        groups=seen_in.opened,
        params=params,
    )


def _indication(
    finding: Finding, clients: tuple[ClientId, ...], held: Mapping[int, Implausible]
) -> Indication:
    reading: Reading = finding.reading
    return Indication(
        attack=str(reading),
        target=getattr(reading, "target", None),
        source=getattr(reading, "source", None),
        evidence=finding.score,
        effect=finding.effect,
        clients=tuple(clients[row] for row in finding.members if row not in held),
    )


def _describe(
    seen_in: Arranged,
    counts: NDArray[np.int64],
    chosen: Selection,
    held: Mapping[int, Implausible],
    clear: frozenset[int],
    nothing: Reason,
    params: VerdictParams,
) -> tuple[ClientVerdict, ...]:
    """Score everybody at the leading reading; a flagged client at the one that flagged it."""
    home = {row: finding for finding in chosen.found for row in finding.members}
    leading = chosen.found[0] if chosen.found else chosen.leading
    entries = []
    for row, client in enumerate(seen_in.clients):
        finding = home.get(row, leading)
        effect = score = confidence = 0.0
        if finding is not None and counts[row]:
            belief = finding.posterior
            effect = float(belief.effect[row])
            score = effect / max(float(belief.deviation[row]), 1e-6)
            # Inclusion is given that there are attackers at all.
            some = 1.0 / (1.0 + float(np.exp(-np.clip(finding.score, -50.0, 50.0))))
            confidence = some * float(belief.inclusion[row])
        if row in held:
            reason = Reason(held[row].value)
        elif row in home:
            reason = Reason.INDICATED
        elif not counts[row]:
            reason = Reason.NO_EVIDENCE
        elif not chosen.found:
            reason = nothing
        else:
            leans = finding is not None and finding.posterior.inclusion[row] >= params.doubt
            reason = Reason.UNDECIDED if leans else Reason.WITH_THE_COHORT
        flagged = row in home and row not in held
        groups = int(counts[row])
        entries.append(
            ClientVerdict(client, flagged, score, effect, confidence, groups, reason, row in clear)
        )
    return tuple(entries)


def _held(
    seen_in: Arranged, counts: NDArray[np.int64], required: float, params: VerdictParams
) -> DecodedVerdict:
    return DecodedVerdict(
        clients=tuple(
            ClientVerdict(client, False, 0.0, 0.0, 0.0, int(counts[row]), Reason.TOO_FEW_ROUNDS)
            for row, client in enumerate(seen_in.clients)
        ),
        flagged=frozenset(),
        doubted=frozenset(),
        indications=(),
        source=None,
        target=None,
        strength=0.0,
        required=required,
        rounds=seen_in.round_indices,
        groups=seen_in.opened,
        params=params,
    )
