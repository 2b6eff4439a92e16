"""``auror plan``: what a deployment of this size promises, survives and costs.

Promises are exact tails (``auror.secagg.calculator``), bytes are the byte-exact formula
(``auror.wire.sizes``), seconds are counted operations times what one of each takes on this machine,
measured while the command starts.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from auror.fields import Range, check_fields
from auror.params import RATED_CLIENTS, Budget
from auror.privacy.collusion import honest_members
from auror.privacy.company import GroupDraw, groups_lost, over_run, worst_draw
from auror.round.arithmetic import check_round
from auror.secagg.calculator import Adversary, neighbourhood
from auror.secagg.quantise import ring_bits
from auror.secagg.topology import Topology, complete_graph
from auror.tools.costs import Cost, Demand, Speeds, cost, measure
from auror.training.audits import WORTH_AUDITING
from auror.training.notices import too_few

RUN_ROUNDS = 30
_TRAININGS = 2
_LOST = (0.01, 0.05, 0.1)
_WAITING = 8
"""Phases of a round whose check passes, without that in which clients train."""
_WEAK = 0.01
"""A chance over a run above which a promise is called weak."""
_GROUP = 3
"""Fewest members of a group that hides one of them from another."""
_EXACT = 2000
"""Clients up to which every list of uploads is looked at."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """Degree and threshold as published for one masked sum: how sure."""

    sigma: Annotated[int, Range(1)] = 40
    """Unsafe with 2^-sigma, as published."""
    eta: Annotated[int, Range(1)] = 20
    """Stuck with 2^-eta, as published."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Seat:
    """Where a chosen honest client may sit, when a lying server picks the list of uploads."""

    case: str
    members: int
    """Clients in that list."""
    alone: float
    """Chance per draw that it sits among colluders only."""
    draws: int
    """Such draws that the budget allows in a run."""
    alone_in_run: float
    """Chance that it does in one of them at least."""


@dataclass(frozen=True)
class Promise:
    """Something that holds for this deployment, or does so weakly."""

    name: str
    kept: bool
    detail: str


@dataclass(frozen=True)
class Plan:
    """Everything that the command prints."""

    demand: Demand
    topology: Topology
    cost: Cost
    complete: Cost
    """The same cohort on the complete graph."""
    ring_bits: int
    smallest_group: int
    lonely_group: float
    """Chance per round that the sum of some group holds exactly one honest member."""
    lonely_sightings: float
    """Expected number of such groups in 30 rounds."""
    silent_beside_colluders: int
    """Honest dropouts survived when all colluders fall silent too."""
    dump_audited: float
    """Chance per round that a random audit leaves out one given group."""
    most_watched: int
    """Rounds that open label rows for certain, until somebody is flagged."""
    tolerated_delay_s: float
    """By which one client can lengthen every round without losing its invitation: it answers each
    phase, but one after a failed check, at the last moment."""
    fewest_present: int
    """Clients in every round, the policy's floor."""
    fewest_accepted: int
    """Clients in a total of the whole cohort."""
    seats: tuple[Seat, ...]
    groups_lost: dict[str, float]
    """Part of the clients lost between upload and statistics → part of the groups lost."""
    promises: tuple[Promise, ...]
    speeds: Speeds

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        wired = self.topology
        return {
            **asdict(self),
            "quorum": wired.quorum,
            "graph": "complete" if wired.complete else "sparse",
        }


def make_plan(demand: Demand) -> Plan:
    """Raises ConfigError when no safe and reachable thresholds exist."""
    params, n, c = demand.params, demand.clients, demand.colluders
    wired = check_round(params, n)
    speeds = measure(wired)
    honest = honest_members(n, params.group_size, c)
    lonely = honest[1]  # with none there is nothing to protect
    groups = max(1, n // params.group_size)
    seats = _seats(demand, Budget.for_rounds(demand.rounds, _TRAININGS))
    return Plan(
        most_watched=params.rounds_of_doubt(n),
        tolerated_delay_s=_WAITING * params.patience + params.training_patience,
        fewest_present=params.fewest_present(n, disputed=False),
        fewest_accepted=params.fewest_accepted(n, n),
        seats=seats,
        groups_lost={f"{lost:.0%}": groups_lost(lost, params.group_size) for lost in _LOST},
        promises=_promises(demand, wired, seats),
        demand=demand,
        topology=wired,
        cost=cost(demand, wired, speeds),
        complete=cost(demand, complete_graph(n, c), speeds),
        ring_bits=ring_bits(n, params.quantisation_bits),
        smallest_group=params.group_size,
        lonely_group=_union(lonely, groups),
        lonely_sightings=lonely * groups * RUN_ROUNDS,
        silent_beside_colluders=max(0, wired.silent - c),
        dump_audited=params.audit_probability / groups if groups >= WORTH_AUDITING else 0.0,
        speeds=speeds,
    )


def _seats(demand: Demand, budget: Budget) -> tuple[Seat, ...]:
    params, n, c, g = demand.params, demand.clients, demand.colluders, demand.params.group_size
    whole, few = budget.max_openings, min(budget.max_disputed, budget.max_openings)
    found = [("everybody uploads", GroupDraw(n, c, g), whole)]
    for case, disputed, tries in (
        ("honest ones left out", False, whole),
        ("… in a disputed round", True, few),
    ):
        floor = params.fewest_present(n, disputed)
        # group sizes repeat: further up on a long list nothing is worse than near the floor
        top = n if n <= _EXACT else min(n, floor + 2 * g)
        found.append((case, worst_draw(top, floor, c, g), tries))
    return tuple(
        Seat(case, draw.members, float(alone), tries, over_run(alone, tries))
        for case, draw, tries in found
        for alone in (draw.few_honest(),)
    )


def _promises(demand: Demand, wired: Topology, seats: tuple[Seat, ...]) -> tuple[Promise, ...]:
    params, n, c, g = demand.params, demand.clients, demand.colluders, demand.params.group_size
    floor, accepted = params.fewest_present(n, disputed=False), params.fewest_accepted(n, n)
    _everybody, left_out, disputed = seats
    rest = (1 - left_out.alone_in_run) ** (1 - disputed.draws / left_out.draws)
    worst = 1 - rest * (1 - disputed.alone_in_run)  # disputed draws are some of all draws
    needed = max(wired.quorum if wired.complete else n - wired.silent, floor)
    lost = math.ceil(round(params.dropouts * n, 9))
    groups = n // g
    largest = -(-n // max(1, groups))
    company = (
        f"c = {c} ≤ g - 2 = {g - 2}: an honest one sits beside it, whatever is drawn"
        if worst == 0
        else f"{worst:.2g} over a run, at the floors that the policy admits"
    )
    return (
        Promise(
            "a group hides its members from g - 2 of them",
            g >= _GROUP,
            f"g = {g}: " + ("a sum over a group" if g >= _GROUP else "too small to hide anybody"),
        ),
        Promise("a chosen client does not sit among colluders only", worst <= _WEAK, company),
        Promise(
            "a sum is opened once: two openings share an honest client",
            True,
            f"t = {wired.shares} of {wired.degree + 1}, Q = {wired.quorum} of {wired.committee}",
        ),
        Promise(
            "a total holds a group's worth of honest clients",
            accepted - c >= g,
            f"at least {accepted} of {n} clients, {max(0, accepted - c)} of them honest",
        ),
        Promise(
            f"rounds survive {lost} dropouts",
            n - lost >= needed,
            f"{needed} of {n} must stay",
        ),
        Promise(
            "colluders who fall silent stop no round",
            n - c >= needed,
            f"{n - c} honest, {needed} must stay",
        ),
        Promise(
            "audits can leave a group out of a total",
            groups >= WORTH_AUDITING and n - largest >= accepted,
            f"{groups} group(s) of up to {largest}, {accepted} clients must stay in a total",
        ),
        Promise(
            "a training without liars accuses somebody with a chance of error_rate at most",
            n >= RATED_CLIENTS,
            too_few(n, flags=False)
            or f"{n} clients, with ten samples and more each (docs/defence.md)",
        ),
    )


def _union(each: float, groups: int) -> float:
    return min(1.0, 1.0 - (1.0 - each) ** groups)


def published_parameters(
    clients: int, colluders: int, dropouts: int, adversary: Adversary, sure: Published
) -> dict[str, int] | None:
    """Bell et al.'s degree and threshold for one masked sum alone, without what an adaptive
    server adds (docs/topology.md); None when only the complete graph will do."""
    found = neighbourhood(clients, colluders, dropouts, adversary, sure.sigma, sure.eta)
    return None if found is None else asdict(found)
