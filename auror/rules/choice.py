"""Rules by name, and one's own by ``package.module:attribute``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from auror.errors import ConfigError
from auror.registry import Registry, in_own_code, maker, reference_to, takes
from auror.rules import robust
from auror.rules.robust import Aggregate, AggregationRule, Floats

AUROR = "auror"
"""The defence of this project: group sums under secure aggregation, no plaintext rule."""


@dataclass(frozen=True, slots=True)
class RuleKind:
    """How a rule is made and what it has to be given."""

    make: Callable[[int], AggregationRule]
    """A new rule for one run, given f, the malicious clients that it may be told of."""
    told: bool = False
    """Whether f matters."""
    rooted: bool = False
    """Whether it looks at the server's own update."""
    needs_root: bool = False
    """Whether it cannot do without."""


RULES: Registry[RuleKind | AggregationRule] = Registry(
    "rule",
    {
        "mean": RuleKind(lambda _f: robust.mean),
        "krum": RuleKind(lambda f: robust.multi_krum(f, chosen=1), told=True),
        "multi-krum": RuleKind(robust.multi_krum, told=True),
        "median": RuleKind(lambda _f: robust.median),
        "trimmed-mean": RuleKind(robust.trimmed_mean, told=True),
        "rfa": RuleKind(lambda _f: robust.geometric_median()),
        "foolsgold": RuleKind(lambda _f: robust.FoolsGold()),
        "fltrust": RuleKind(lambda _f: robust.fltrust, rooted=True, needs_root=True),
    },
    lambda found: takes(found, 2),
    "a function (updates, root) -> auror.Aggregate, or a class of such",
)
"""All of them see every client's update."""


@dataclass(frozen=True, slots=True)
class ChosenRule:
    """A plaintext rule under the name that was given for it."""

    name: str
    kind: RuleKind = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.name

    def check(self, clients: int, malicious: int, clean_per_class: int) -> None:
        """Raises ConfigError when it cannot work on so many clients or clean samples."""
        if self.kind.told and 2 * malicious >= clients:
            raise ConfigError(
                f"rule {self.name}: {malicious} colluders of {clients} clients leave no majority:"
                " lower colluders"
            )
        if self.kind.needs_root and not clean_per_class:
            raise ConfigError(
                f"rule {self.name} needs clean samples at the server: leave out clean_per_class = 0"
            )

    def begin(self, malicious: int) -> AggregationRule:
        """The rule for one run; it may keep what it saw from round to round."""
        return self.kind.make(malicious)


@dataclass(frozen=True, slots=True)
class _Own:
    """Somebody's own rule; what it returns is checked."""

    name: str
    rule: AggregationRule

    def __call__(self, updates: Floats, root: Floats | None, /) -> Aggregate:
        with in_own_code(f"rule {self.name!r}"):
            found = self.rule(updates, root)
        if not isinstance(found, Aggregate):
            raise ConfigError(
                f"rule {self.name!r} returned {type(found).__name__}, not auror.Aggregate(change)"
            )
        clients, dim = updates.shape
        if np.shape(found.change) != (dim,) or not _finite(found.change):
            raise ConfigError(
                f"rule {self.name!r}: change must be {dim} finite entries (d,), it is of shape"
                f" {np.shape(found.change)}"
            )
        if found.weights is None:
            return Aggregate(np.asarray(found.change, np.float64))
        if np.shape(found.weights) != (clients,) or not _finite(found.weights):
            raise ConfigError(
                f"rule {self.name!r}: weights must be a finite part for each of {clients} clients"
                f" (n,), they are of shape {np.shape(found.weights)}"
            )
        return Aggregate(
            np.asarray(found.change, np.float64), np.asarray(found.weights, np.float64)
        )


def _finite(values: object) -> bool:
    try:
        return bool(np.isfinite(np.asarray(values, np.float64)).all())
    except (TypeError, ValueError):  # no numbers
        return False


def choose_rule(given: object) -> ChosenRule | None:
    """What ``given`` names or is; None for AUROR itself.

    Args:
        given: a name, ``package.module:attribute``, a rule, or a class whose objects are rules and
            that is made anew for every run.

    Raises:
        ConfigError: an unknown name, or an object that is no rule.
    """
    if given is None or given == AUROR:
        return None
    if isinstance(given, ChosenRule):
        return given
    if isinstance(given, RuleKind):
        return ChosenRule(reference_to(given), given)
    name, found = RULES.choose(given)
    if isinstance(found, RuleKind):
        return ChosenRule(name, found)
    make = maker(found)

    def begin(_malicious: int) -> AggregationRule:
        with in_own_code(f"rule {name!r}"):
            return _Own(name, make())

    return ChosenRule(name, RuleKind(begin, rooted=True))
