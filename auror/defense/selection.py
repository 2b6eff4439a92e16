"""Who is flagged, given decoded evidence (docs/defence.md, section 4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auror.defense.decode import Decoded, sweep
from auror.defense.mixture import Candidate, appraise, own_effect, search


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


@dataclass(frozen=True, slots=True)
class Selection:
    """``found``: the sets that passed, strongest first; ``leading``: the best candidate, passed
    or not; ``strength``: its log-evidence; ``required``: what it needed."""

    found: tuple[Candidate, ...]
    leading: Candidate | None
    strength: float
    required: float


def select(decoded: Decoded, seen: NDArray[np.bool_], params: VerdictParams) -> Selection:
    """Find a set, confirm its members, take them out, and look again. ``seen`` (n,): bool."""
    eligible = seen.copy()
    size = int(eligible.sum())
    flagged: list[int] = []
    found: list[Candidate] = []
    leading: Candidate | None = None
    strength, required = 0.0, params.evidence
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
    return Selection(tuple(found), leading, strength, required)


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
