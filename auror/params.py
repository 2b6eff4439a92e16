"""Validated, frozen parameters of a deployment and of a client's own rules.

Everything here is checked when it is made, so later code need not ask again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from auror.errors import ConfigError

MIN_GROUP_FRACTION = 0.6
"""Part of a group that must have sent statistics before anything of it is opened."""

RING_LIMIT_BITS = 32
STATISTICS_RING_BITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundParams:
    """What server and clients must agree on; its hash enters every round description."""

    group_size: int = 5
    """g: clients per group, the privacy dial (1 = statistics in the clear)."""
    colluders: int = 9
    """c: clients assumed to collude with each other or with the server."""
    quantisation_bits: int = 16
    """b: bits of one quantised entry."""
    quantisation_range: float = 0.5
    """Updates are clipped to ± this, in units of the update."""
    challenge_rows: int = 8
    """Rows of the sketch that nobody can foresee; 0 turns the in-round norm test off."""
    min_accepted_groups: int = 1
    """A round with fewer accepted groups is discarded."""
    max_attempts: int = 3
    """Openings of statistics that one model may cause."""
    dropouts: float = 0.1
    """Fraction of a large cohort that may be silent or left out: it decides the degree of the
    graph and the size of the committee (the complete graph survives more)."""
    audit_probability: float = 0.1
    """p_audit: chance that a round leaves out a random group after its statistics are open."""

    def __post_init__(self) -> None:
        _at_least("group_size", self.group_size, 1)
        _at_least("colluders", self.colluders, 0)
        _at_least("challenge_rows", self.challenge_rows, 0)
        _at_least("min_accepted_groups", self.min_accepted_groups, 1)
        _at_least("max_attempts", self.max_attempts, 1)
        if not 2 <= self.quantisation_bits <= 24:
            raise ConfigError(
                f"quantisation_bits = {self.quantisation_bits}: choose 2 … 24 (16 is the default)"
            )
        if not 0 <= self.dropouts <= 0.5:
            raise ConfigError(f"dropouts = {self.dropouts}: choose a fraction from 0 to 0.5")
        if not 0 <= self.audit_probability < 1:
            raise ConfigError(
                f"audit_probability = {self.audit_probability}: choose 0 (no audits) … 1, below 1"
            )
        if not (math.isfinite(self.quantisation_range) and self.quantisation_range > 0):
            raise ConfigError(
                f"quantisation_range = {self.quantisation_range}: give a positive number,"
                " about the largest absolute entry of an update"
            )

    def smallest_group(self) -> int:
        """⌈0.6 g⌉: a group with fewer members in S stays closed."""
        return math.ceil(round(MIN_GROUP_FRACTION * self.group_size, 9))


def check_sizes(params: RoundParams, cohort: int, largest_row_norm: int) -> None:
    """Whether groups and rings can hold ``cohort`` clients.

    ``largest_row_norm`` is the largest Σ|P_kj| over the rows of the statistics matrix.

    Raises:
        ConfigError: with the arithmetic and the fix.
    """
    if cohort < 2:
        raise ConfigError(f"{cohort} client(s): secure aggregation needs at least 2, invite more")
    if params.group_size > cohort:
        raise ConfigError(
            f"group_size = {params.group_size} is larger than the cohort of {cohort}:"
            f" choose 1 … {cohort}"
        )
    if params.min_accepted_groups > cohort // params.group_size:
        raise ConfigError(
            f"min_accepted_groups = {params.min_accepted_groups}, but {cohort} clients make only"
            f" {cohort // params.group_size} group(s) of {params.group_size}: lower one of them"
        )
    largest_sum = cohort * ((1 << params.quantisation_bits) - 1)
    if largest_sum >= 1 << RING_LIMIT_BITS:
        raise ConfigError(
            f"ring overflow: n·(2^b − 1) = {cohort}·{(1 << params.quantisation_bits) - 1} ="
            f" {largest_sum} does not fit 2^{RING_LIMIT_BITS}: use quantisation_bits ≤"
            f" {_largest_bits(cohort)}"
        )
    if largest_row_norm * largest_sum >= 1 << (STATISTICS_RING_BITS - 1):
        raise ConfigError(
            f"statistics overflow: ‖P‖₁·n·(2^b − 1) = {largest_row_norm}·{largest_sum} ≥ 2^63:"
            " use fewer quantisation_bits or smaller statistics coefficients"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPolicy:
    """A client's own floors and caps; the server's word does not replace them (rule 2)."""

    min_cohort: int = 3
    """Fewest clients in a cohort, and in every later set, that this client goes on with."""
    min_group: int = 1
    """Fewest members of a group whose statistics it helps to open."""
    min_accepted: int = 2
    """Fewest clients in a total that it helps to open; never fewer than c + 2."""
    colluders: int = 0
    """c this client assumes: thresholds below its own arithmetic are refused."""
    max_statistics: int = 2048
    """k: most statistics a plan may ask for."""
    max_coefficient_bits: int = 24
    """Largest |coefficient| of the plan, in bits: one entry could otherwise smuggle several."""
    max_row_norm_bits: int = 36
    """Largest ‖row‖₁ of the plan, in bits."""
    max_left_out: int = 1_000_000
    """Most groups left out over the whole run before this client withdraws."""
    max_attempts: int = 3
    """Openings of statistics it joins per model."""

    def __post_init__(self) -> None:
        _at_least("min_cohort", self.min_cohort, 2)
        _at_least("min_group", self.min_group, 1)
        _at_least("min_accepted", self.min_accepted, 1)
        _at_least("colluders", self.colluders, 0)
        _at_least("max_statistics", self.max_statistics, 0)
        _at_least("max_left_out", self.max_left_out, 0)
        _at_least("max_attempts", self.max_attempts, 1)

    def accepted_floor(self) -> int:
        """Fewest clients in a total: at least two that this client does not assume to collude,
        else the total minus what the colluders know would be one client's update."""
        return max(self.min_accepted, self.colluders + 2)


def _at_least(name: str, value: int, lowest: int) -> None:
    if value < lowest:
        raise ConfigError(f"{name} = {value}: choose {lowest} or more")


def _largest_bits(cohort: int) -> int:
    bits = 24
    while cohort * ((1 << bits) - 1) >= 1 << RING_LIMIT_BITS:
        bits -= 1
    return bits
