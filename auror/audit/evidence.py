"""Evidence and verdicts of a run, computed again from the sums that were opened."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.audit.broken import Broken, CannotJudge
from auror.audit.start import Start
from auror.defence.ledger import GroupObservation, Ledger, RoundObservation
from auror.deployment.audit_reader import KeptEvidence
from auror.errors import ConfigError
from auror.ids import ClientId
from auror.params import RoundParams
from auror.round.arithmetic import quantiser
from auror.round.label_rows import LabelRows
from auror.round.plan import StatisticsPlan
from auror.round.record import RoundRecord
from auror.training.detectors import DetectorDials, choose_detector
from auror.training.observations import RoundPlan, observe
from auror.training.verdict import Detector

_CLOSE = 1e-6
"""Relative: another machine's linear algebra rounds otherwise."""


def observation_of(index: int, kept: KeptEvidence) -> RoundObservation:
    """A round of the ledger from its rows. Raises ValueError when they are none."""
    groups = tuple(
        GroupObservation(tuple(ClientId(int(c)) for c in json.loads(members)), _floats(mean))
        for members, mean in kept.groups
    )
    gram = None if kept.gram is None else _floats(kept.gram)
    if gram is not None:
        gram = gram.reshape(math.isqrt(gram.size), -1)
    return RoundObservation(index, kept.era, groups, gram)


def check_evidence(
    record: RoundRecord,
    plan: StatisticsPlan | None,
    params: RoundParams,
    kept: KeptEvidence | None,
    bound: bool,
) -> None:
    """Whether the evidence of a round is what its opened sums say under its plan.

    Args:
        plan: without challenge part; None: its messages are not known.
        bound: the ledger has columns.

    Raises:
        Broken: it is not.
    """
    due = bound and record.watched and record.total_opened and record.aborted is None
    if not due or plan is None:
        if kept is not None:
            raise Broken("evidence of a round that brought none")
        return
    if kept is None:
        raise Broken("its evidence is missing")
    around = RoundPlan(plan, _gram(plan))
    chosen = set(record.accepted_groups)
    accepted = tuple(group for group in record.opened if group.index in chosen)
    expected, found = (
        observe(around, quantiser(params), accepted), observation_of(record.index, kept)
    )  # fmt: skip
    if kept.era != record.era or not _same(around.gram, found.gram):
        raise Broken("its evidence is scaled otherwise than its plan says")
    if [group.members for group in expected] != [group.members for group in found.groups]:
        raise Broken("its evidence is of other groups than were opened")
    if not all(_same(a.mean, b.mean) for a, b in zip(expected, found.groups, strict=True)):
        raise Broken("its evidence is not what the opened sums say")


def _gram(plan: StatisticsPlan) -> NDArray[np.float64] | None:
    for part in plan.parts:
        if isinstance(part, LabelRows):
            means = np.ldexp(part.matrix.astype(np.float64), -part.exponent)
            gram: NDArray[np.float64] = means @ means.T
            return gram
    return None


def _same(one: NDArray[np.float64] | None, other: NDArray[np.float64] | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and np.allclose(one, other, rtol=_CLOSE, atol=1e-12)


class Verdicts:
    """Judges again what a server judged."""

    def __init__(self, detector: Callable[[Start], Detector]) -> None:
        self._detector = detector
        self._known: dict[tuple[int, tuple[int, ...]], Any] = {}
        self.accused: set[int] = set()
        """Whom any verdict so far accused or doubted."""

    @property
    def computed(self) -> int:
        return len(self._known)

    def check(
        self,
        start: Start,
        ledger: Sequence[RoundObservation],
        judged: tuple[int, Sequence[int]],
        text: str,
    ) -> None:
        """Whether ``text`` is the verdict on the first rounds of ``ledger``.

        Args:
            judged: how many of them, and whom the next round could have invited.

        Raises:
            Broken: it is not.
        """
        rounds, invited = judged[0], tuple(int(client) for client in judged[1])
        if not 0 < rounds <= len(ledger):
            raise Broken("its verdict is of evidence that was not there")
        if (rounds, invited) not in self._known:
            evidence = Ledger(start.blocks)
            for entry in ledger[:rounds]:
                evidence.append(entry)
            verdict = self._detector(start)(evidence, tuple(map(ClientId, invited)))
            self._known[rounds, invited] = json.loads(json.dumps(verdict.to_dict()))
            self.accused |= {int(client) for client in verdict.flagged | verdict.doubted}
        if not alike(self._known[rounds, invited], json.loads(text)):
            raise Broken(
                f"its verdict is not what version {start.version}'s detector {start.detector} says"
                " on its evidence here"
            )


def named_detector(own: bool) -> Callable[[Start], Detector]:
    """The detector that a start names. ``own``: also one that is somebody's own code, which runs
    here then."""

    def make(start: Start) -> Detector:
        if ":" in start.detector and not own:
            raise CannotJudge(
                f"the detector {start.detector} is code of the run's own: read it, and let it run"
                " here with own_detector = true"
            )
        try:
            return choose_detector(start.detector).kind.make(DetectorDials(start.error_rate))
        except ConfigError as error:
            raise CannotJudge(str(error)) from error

    return make


def alike(one: Any, other: Any) -> bool:
    """Equal JSON, numbers up to rounding."""
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(alike(one[k], other[k]) for k in one)
        case list(), list():
            return len(one) == len(other) and all(map(alike, one, other))
        case (bool(), _) | (_, bool()):
            return one is other
        case ((int() | float()), (int() | float())):
            return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=1e-9)
    return bool(one == other)


def _floats(raw: bytes) -> NDArray[np.float64]:
    return np.frombuffer(raw, dtype="<f8").astype(np.float64)


def judged_of(content: Mapping[str, Any]) -> tuple[int, tuple[int, ...]] | None:
    """What the verdict of a round's entry is of."""
    found = content["judged"]
    return None if found is None else (int(found[0]), tuple(int(client) for client in found[1]))
