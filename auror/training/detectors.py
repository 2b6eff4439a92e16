"""Detectors by name, and one's own by ``package.module:attribute``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MethodType, NoneType
from typing import Any

import numpy as np

from auror.defence.direction import DirectionParams, judge_direction
from auror.defence.features import FeatureKind
from auror.defence.ledger import Ledger
from auror.defence.paper import PaperParams, judge_as_published
from auror.defence.verdict import VerdictParams, judge
from auror.errors import ConfigError
from auror.ids import ClientId
from auror.params import ERROR_RATE, TAU
from auror.registry import Registry, described, in_own_code, maker, reference_to, takes
from auror.training.observations import PlanChoice
from auror.training.verdict import Detector, Verdict

_MISSING = object()
OUTPUT_LAYER = PlanChoice(confusion=False, output_layer=True)


@dataclass(frozen=True, slots=True)
class DetectorDials:
    """What detectors may be told."""

    error_rate: float = ERROR_RATE
    """Bound, in (0, 1), on the chance that a run in which nobody lies ever accuses anybody
    (``VerdictParams.alpha``)."""
    alpha: float = 0.0
    """Of the published algorithm: centre distance of an indicative feature, in the updates'
    units."""
    tau: float = TAU
    """Of the published algorithm: part of the evidence above which a client is flagged."""


@dataclass(frozen=True, slots=True)
class DetectorKind:
    """How a detector is made and which statistics it reads."""

    make: Callable[[DetectorDials], Detector]
    """A new detector for one run."""
    plan: PlanChoice = field(default_factory=PlanChoice)
    """What has to be opened for it."""
    thresholds: bool = False
    """Whether α and τ matter."""
    rated: bool = False
    """Whether ``error_rate`` matters."""
    single: bool = False
    """Whether it looks at single clients, groups of one."""


@dataclass(frozen=True, slots=True)
class PlainVerdict:
    """A verdict of a detector of one's own: whom it accuses, and how suspicious everybody is."""

    flagged: frozenset[ClientId] = frozenset()
    scores: dict[ClientId, float] = field(default_factory=dict)
    doubted: frozenset[ClientId] = frozenset()
    """Others who stand out: they take twice as many audited rounds to be flagged."""
    cleared: frozenset[ClientId] = frozenset()
    """Who lies with none of the others as far as anybody could tell: when all are flagged or
    cleared, label rows are opened in a part of the rounds only (``watch_rate``)."""
    strength: float | None = None
    """Evidence against the most suspicious set, in a unit of the detector's own."""
    required: float | None = None
    """What ``strength`` has to reach to flag."""

    def to_dict(self) -> dict[str, object]:
        """JSON-able form."""
        return {
            "flagged": sorted(int(client) for client in self.flagged),
            "doubted": sorted(int(client) for client in self.doubted),
            "scores": {str(int(client)): float(s) for client, s in sorted(self.scores.items())},
        }


@dataclass(frozen=True, slots=True)
class DecodedDetector:
    """The default: the test on label confusion, decoded from group sums; without label rows, one
    direction in the output layer's entries or in a sketch that splits the cohort."""

    params: VerdictParams = field(default_factory=VerdictParams)

    def __call__(self, ledger: Ledger, invited: tuple[ClientId, ...]) -> Verdict:
        if ledger.block(FeatureKind.CONFUSION) is not None:
            return judge(ledger, self.params, invited)
        entries = ledger.block(FeatureKind.OUTPUT)
        kind = FeatureKind.SKETCH if entries is None else FeatureKind.OUTPUT
        return judge_direction(ledger, DirectionParams(kind), invited)


decoded_detector = DecodedDetector()
"""At the default error rate."""


def published_detector(alpha: float, tau: float = TAU) -> Detector:
    """AUROR as published: g = 1 and the output layer in the plan; α in the updates' units."""
    params = PaperParams(alpha, tau)
    return lambda ledger, invited: judge_as_published(ledger, params, invited)


def _direction(ledger: Ledger, invited: tuple[ClientId, ...]) -> Verdict:
    return judge_direction(ledger, DirectionParams(FeatureKind.OUTPUT), invited)


DETECTORS: Registry[DetectorKind | Detector] = Registry(
    "detector",
    {
        "decoded": DetectorKind(
            lambda dials: DecodedDetector(VerdictParams(alpha=dials.error_rate)), rated=True
        ),
        "published": DetectorKind(
            lambda dials: published_detector(dials.alpha, dials.tau),
            OUTPUT_LAYER,
            thresholds=True,
            single=True,
        ),
        "direction": DetectorKind(lambda _: _direction, OUTPUT_LAYER),
    },
    lambda found: isinstance(found, DetectorKind) or takes(found, 2),
    "a function (ledger, invited) -> auror.PlainVerdict, or a class of such",
)
"""``decoded``: the default, label confusion decoded from the group sums of many rounds.
``published``: AUROR as in the paper, on every single client's output layer. ``direction``: one
direction that splits the cohort in two, for the output layer without labels."""


@dataclass(frozen=True, slots=True)
class ChosenDetector:
    """A detector under the name that was given for it."""

    name: str
    kind: DetectorKind = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class _Own:
    """Somebody's own detector; what it returns is checked."""

    name: str
    detector: Detector

    def __call__(self, ledger: Ledger, invited: tuple[ClientId, ...]) -> Verdict:
        with in_own_code(f"detector {self.name!r}"):
            found = self.detector(ledger, invited)
        number = (float, int, NoneType)
        for part, kind in (
            ("flagged", frozenset),
            ("doubted", frozenset),
            ("cleared", frozenset),
            ("scores", Mapping),
            ("strength", number),
            ("required", number),
            ("to_dict", MethodType),
        ):
            if not isinstance(value := getattr(found, part, _MISSING), kind):
                lacks = f"without {part}" if value is _MISSING else f"whose {part} is {value!r:.40}"
                raise ConfigError(
                    f"detector {self.name!r} returned {type(found).__name__} {lacks}: return"
                    f" auror.PlainVerdict(flagged=…, scores=…); {part} is {_KINDS[part]}"
                )
        named: tuple[object, ...] = (
            *found.flagged, *found.doubted, *found.cleared, *found.scores
        )  # fmt: skip
        for client in named:
            if not isinstance(client, int | np.integer):
                raise ConfigError(
                    f"detector {self.name!r} names client {client!r:.40}: clients are whole"
                    " numbers, as in invited and auror.GroupObservation.members"
                )
        return found


_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("flagged", "doubted", "cleared"), "a frozenset of clients"),
    "scores": "a number by client",
    **dict.fromkeys(("strength", "required"), "a number or None"),
    "to_dict": "a method",
}
"""What each part of a verdict is, as errors call it."""


def choose_detector(given: object) -> ChosenDetector:
    """What ``given`` names or is.

    Args:
        given: a name, ``package.module:attribute``, a :class:`DetectorKind`, a detector, or a
            class whose objects are detectors and that is made anew for every run. A bare detector
            reads the default statistics, label confusion.

    Raises:
        ConfigError: an unknown name, or an object that is no detector.
    """
    if isinstance(given, ChosenDetector):
        return given
    if isinstance(given, DetectorKind):
        return _of_kind(reference_to(given), given)
    name, found = DETECTORS.choose(given)
    if isinstance(found, DetectorKind):
        return ChosenDetector(name, found) if name in DETECTORS else _of_kind(name, found)
    make = maker(found)
    return ChosenDetector(name, DetectorKind(lambda _dials: _own(name, make)))


def _of_kind(name: str, kind: DetectorKind) -> ChosenDetector:
    """Somebody's own kind, whose detectors are checked as they are made and called."""
    plan: object = kind.plan
    if not takes(kind.make, 1) or not isinstance(plan, PlanChoice):
        raise ConfigError(
            f"detector {name!r}: write auror.DetectorKind(make, plan), make a function (dials) -> a"
            " detector, plan an auror.PlanChoice"
        )
    make = kind.make
    checked = replace(kind, make=lambda dials: _own(name, functools.partial(make, dials)))
    return ChosenDetector(name, checked)


def _own(name: str, make: Callable[[], Any]) -> Detector:
    with in_own_code(f"detector {name!r}"):
        made = make()
    if not takes(made, 2):
        raise ConfigError(
            f"detector {name!r} is {described(made)}, not a function (ledger, invited) ->"
            " auror.PlainVerdict"
        )
    return _Own(name, made)
