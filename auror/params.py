"""Validated, frozen parameters: of a round, of what may be asked for, of a client's own rules.

Everything here is checked when it is made, so later code need not ask again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Annotated

from auror.errors import ConfigError
from auror.fields import Range, check_fields

DATASET = "mnist5k"
"""The data set that is meant where none is named."""
PACKAGED = ("digits", "mnist5k")
"""Those that come with a Python package: no folder of theirs is looked at."""

PARTITION = "iid"
"""How a shared data set is dealt out where nothing is said."""

SEED = 1
"""Of experiments, and of how programs deal out a shared data set: server and clients must agree."""

ROUNDS = 30
"""Of one training."""

CLEAN_PER_CLASS = 10
"""Validation samples of each class for the server: no class is without, however many there are."""

DETECTOR = "decoded"
"""How AUROR reads the statistics where nothing is said."""

WORKERS = 2
"""Processes that share long work on one machine."""
MAX_DIM = 20_000_000
"""Largest model that a client accepts unless its operator says otherwise, in entries."""

ERROR_RATE = 0.01
"""At most the chance that a training in which nobody lies ever accuses anybody."""

RATED_CLIENTS = 15
"""With fewer, ``ERROR_RATE`` was seen to fail (docs/defence.md, section 5)."""

TAU = 0.5
"""AUROR as published: part of the evidence above which a client is flagged."""

LABEL_ROW_BITS = 4
"""Of the largest coefficient of the label rows: few, yet the verdict stays (docs/adr/0013)."""

SETTLING_SUMS, SETTLING_ROUNDS = 8, 40
"""Evidence that leaves a verdict little to learn: independent group sums per client, rounds."""

PLAN_PARTS = ("count-sketch", "label-rows", "output-layer")
SKETCH_PART, LABEL_PART, LAYER_PART = PLAN_PARTS
"""Kinds of parts that a statistics plan can have (``auror.round.plan``)."""

MAX_CLASSES = 128
"""Most classes of a task whose label rows are opened: C² numbers of every group and round."""
MAX_STATISTICS = 2 * MAX_CLASSES**2
"""Most statistics of a group that a policy is made for, other parts than label rows included."""

RING_LIMIT_BITS = 32
STATISTICS_RING_BITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundParams:
    """What server and clients must agree on; its hash enters every round description."""

    group_size: Annotated[int, Range(1)] = 5
    """g, clients per group, the privacy dial: 1 = statistics in the clear, above n/2 = no
    detection."""
    colluders: Annotated[int, Range(0)] = 9
    """c, clients assumed to collude with each other or with the server."""
    quantisation_bits: Annotated[int, Range(2, 24)] = 16
    """b, bits of one quantised entry."""
    quantisation_range: Annotated[float, Range(above=0)] = 0.5
    """Updates are clipped to ± this, in units of the update."""
    challenge_rows: Annotated[int, Range(0)] = 8
    """Rows of the sketch that nobody can foresee; 0 turns the in-round norm test off."""
    min_accepted_groups: Annotated[int, Range(1)] = 1
    """A round with fewer accepted groups is discarded."""
    max_attempts: Annotated[int, Range(1)] = 2
    """Attempts at one step of a training, counted from the upload on. Where updates of several
    attempts are alike, so are the sums of several draws: two leave a client of 30 alone in 1.5 %
    (groups of five, nine colluders), three in 4.7 %, four in 81 % (docs/adr/0015)."""
    dropouts: Annotated[float, Range(0, 0.5)] = 0.1
    """Fraction of a large cohort that may be silent or left out: it decides the degree of the
    graph and the size of the committee (the complete graph survives more)."""
    audit_probability: Annotated[float, Range(0, below=1)] = 0.1
    """p_audit, chance that a round leaves out a random group after its statistics are open."""
    watch_rate: Annotated[float, Range(above=0, most=1)] = 0.1
    """Chance that label rows are opened in a round once nobody is in doubt; 1 = in every round."""
    patience: Annotated[int, Range(1, 3600)] = 10
    """Seconds: once as many have answered a phase as it needs, the rest get so long, or five times
    as long as these took: wide enough for the slowest uplink."""
    training_patience: Annotated[int, Range(1, 86_400)] = 120
    """The same for the phase of the upload, local training included: wide enough for the slowest
    device."""

    def __post_init__(self) -> None:
        check_fields(self)

    def fewest_present(self, members: int, disputed: bool) -> int:
        """Fewest of ``members`` in U1, U2 and U3: two thirds, in a disputed round half; and enough
        for a total."""
        share = -(-members // 2) if disputed else -(-2 * members // 3)
        return max(share, self._fewest_open(members))

    def fewest_accepted(self, cohort: int, members: int) -> int:
        """Fewest clients in a total: half of ``cohort``, so that two totals of a step would have
        to overlap; and a group's worth of clients that do not collude (everybody, when
        ``members`` are too few for that)."""
        return max(-(-cohort // 2), self._fewest_open(members))

    def _fewest_open(self, members: int) -> int:
        # two at least: one client less the colluders' own values would be that client
        return min(members, self.colluders + max(self.group_size, 2))

    def rounds_of_doubt(self, members: int) -> int:
        """Rounds in which ``members`` can be decided if every round is watched: as many as it takes
        for ``SETTLING_SUMS`` independent group sums per client, ``SETTLING_ROUNDS`` at least
        (docs/adr/0022)."""
        groups = max(members // self.group_size, 2)
        return max(SETTLING_ROUNDS, -(-SETTLING_SUMS * (members - 1) // (groups - 1)))

    def coefficient_cap(self) -> int:
        """g·(2^b − 1), the largest sum of a group's entry: coefficients of the statistics plan stay
        below it, or one row could carry two entries side by side (``auror.round.label_rows``)."""
        return self.group_size * ((1 << self.quantisation_bits) - 1)

    def label_row_bits(self) -> int:
        """Bits of the label rows: all that ``coefficient_cap`` leaves, at most LABEL_ROW_BITS.

        2^bits − 1 < cap: 4 from g·(2^b − 1) = 16 on, 1 for g = 1 and b = 2.
        """
        return min(LABEL_ROW_BITS, self.coefficient_cap().bit_length() - 1)


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
class PlanCaps:
    """What a statistics plan may ask for."""

    max_statistics: Annotated[int, Range(0)] = 2048
    """k: most statistics of a group, challenge rows included."""
    parts: tuple[str, ...] = (LABEL_PART,)
    """Kinds of parts that a server may ask for; the challenge part is always allowed."""
    max_coefficient_bits: Annotated[int, Range(1)] = LABEL_ROW_BITS
    """Largest |coefficient| of the plan, in bits: one row could otherwise carry several entries."""
    max_row_norm_bits: Annotated[int, Range(1)] = 36
    """Largest ‖row‖₁ of the plan, in bits."""

    @classmethod
    def reading(
        cls,
        read: Collection[str],
        classes: int,
        entries: int,
        challenge_rows: int,
        parts: tuple[str, ...] | None = None,
    ) -> PlanCaps:
        """Caps under which the parts ``read`` of a task can be opened: its statistics, and never
        fewer than by default.

        Args:
            classes: C, rows of the task's output layer; 0 without one.
            entries: weights and biases of that layer.
            challenge_rows: rows that ``RoundParams`` adds.
            parts: all that a server may ask for; by default those ``read``.

        Raises:
            ConfigError: label rows of more than MAX_CLASSES, or more than MAX_STATISTICS.
        """
        if LABEL_PART in read and classes > MAX_CLASSES:
            raise ConfigError(
                f"{classes} classes: label rows are opened of at most {MAX_CLASSES} (docs/own-data"
                ".md), merge classes, or train a task without labels"
            )
        needed = challenge_rows + classes**2 * (LABEL_PART in read) + entries * (LAYER_PART in read)
        if needed > MAX_STATISTICS:
            raise ConfigError(
                f"parts {', '.join(sorted(read))}: {needed} statistics of a group, at most"
                f" {MAX_STATISTICS} can be signed: leave out {LAYER_PART}, or train a smaller layer"
            )
        chosen = tuple(sorted(read)) if parts is None else parts
        made = cls(parts=chosen)
        return replace(made, max_statistics=max(made.max_statistics, needed))

    def __post_init__(self) -> None:
        check_fields(self)
        if list(self.parts) != sorted(set(self.parts)) or not set(self.parts) <= set(PLAN_PARTS):
            raise ConfigError(
                f"plan parts {', '.join(self.parts)}: choose of {', '.join(PLAN_PARTS)}, each once,"
                " in this order"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a client's data may be used for, over all trainings; the client keeps the account."""

    max_openings: Annotated[int, Range(1)]
    """Attempts: rounds in which an upload left the client."""
    max_totals: Annotated[int, Range(1)]
    """Totals that it helps to open."""
    max_steps: Annotated[int, Range(1)]
    """Steps of one training."""
    max_disputed: Annotated[int, Range(0)]
    """Attempts in rounds to which only the least suspected half is invited."""
    max_watched: Annotated[int, Range(1)]
    """Attempts in rounds that open label rows for certain, until another client is flagged or
    another training begins; after that only a drawn part of the rounds does (``watch_rate``)."""

    def __post_init__(self) -> None:
        check_fields(self)

    @classmethod
    def for_rounds(cls, rounds: int, trainings: int, watched: int | None = None) -> Budget:
        """Enough for ``trainings`` of ``rounds`` rounds each: a round, failed or not, takes at most
        one step, one attempt and one total. A tenth more, ten at least, for rounds that fail or
        that a restart of the server breaks off.

        ``watched``: rounds that it takes to decide about everybody
        (``RoundParams.rounds_of_doubt``); None: all rounds of a training.
        """
        if rounds < 1:
            raise ConfigError(f"rounds = {rounds}: choose 1 or more")
        whole = rounds * trainings
        spare = max(10, whole // 10)
        return cls(
            max_openings=whole + spare,
            max_totals=whole + spare,
            max_steps=rounds + spare,
            max_disputed=max(10, whole // 4),
            max_watched=rounds + spare if watched is None else watched,
        )

    def extended(self, trainings: int, more: int) -> Budget:
        """The same for ``more`` trainings beside the ``trainings`` that this one is for."""
        whole, before = trainings + more, trainings

        def larger(number: int) -> int:
            return -(-number * whole // before)

        return replace(
            self,
            max_openings=larger(self.max_openings),
            max_totals=larger(self.max_totals),
            max_disputed=larger(self.max_disputed),
        )

    def deciding(self, rounds: int) -> Budget:
        """The same with ``rounds`` of doubt at least."""
        return replace(self, max_watched=max(self.max_watched, rounds))


@dataclass(frozen=True, slots=True)
class Floors:
    """Numbers of clients; 0 where nothing is asked."""

    present: int = 0
    """In U1, U2 and U3."""
    accepted: int = 0
    """In a total."""
    group: int = 0
    """In a group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRules:
    """A client's own rules, each tighter than the signed policy's; None: as the policy says."""

    min_group: Annotated[int, Range(1)] | None = None
    """Fewest members of a group whose statistics it helps to open."""
    min_present: Annotated[int, Range(1)] | None = None
    """Fewest clients that advertise, deal and upload in a round it takes part in."""
    min_accepted: Annotated[int, Range(1)] | None = None
    """Fewest clients in a total that it helps to open."""
    max_statistics: Annotated[int, Range(0)] | None = None
    """k: most statistics a plan may ask for, challenge rows included."""
    max_openings: Annotated[int, Range(1)] | None = None
    """Attempts it joins over all trainings."""

    def __post_init__(self) -> None:
        check_fields(self)

    def floors(self) -> Floors:
        return Floors(self.min_present or 0, self.min_accepted or 0, self.min_group or 0)


def _largest_bits(cohort: int) -> int:
    bits = 24
    while cohort * ((1 << bits) - 1) >= 1 << RING_LIMIT_BITS:
        bits -= 1
    return bits
