"""``auror plan``: what a deployment of this size promises, survives and costs.

Promises are exact tails (``auror.secagg.calculator``), bytes are the byte-exact formula
(``auror.wire.sizes``), seconds are counted operations times what one of each takes on this machine,
measured while the command starts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np

from auror.crypto import shamir
from auror.crypto.entropy import Secret, system_entropy
from auror.crypto.kex import KeyPair, expand
from auror.crypto.prg import words
from auror.crypto.signing import SigningKey, verify
from auror.crypto.tags import Tag
from auror.errors import ConfigError
from auror.fields import Range, check_fields
from auror.params import Budget, RoundParams
from auror.privacy.collusion import honest_members
from auror.privacy.company import Draw, groups_lost, over_run, worst_draw
from auror.round.arithmetic import check_round
from auror.secagg.calculator import Adversary, neighbourhood
from auror.secagg.quantize import ring_bits
from auror.secagg.topology import Topology, complete_graph
from auror.training.audits import WORTH_AUDITING
from auror.wire import sizes

_SECRETS = 3
_RUN_ROUNDS = 30
_TRAININGS = 2
_LOST = (0.01, 0.05, 0.1)
_WEAK = 0.01
"""A chance over a run above which a promise is called weak."""
_GROUP = 3
"""Fewest members of a group that hides one of them from another."""
_EXACT = 2000
"""Clients up to which every list of uploads is looked at."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What is to be planned."""

    clients: Annotated[int, Range(2, 1_000_000)]
    """n, the cohort."""
    colluders: int
    """c, who may collude."""
    params: RoundParams
    dim: Annotated[int, Range(1)] = 50_890
    """d, entries of an update."""
    statistics: Annotated[int, Range(0)] = 108
    """k, statistics per group, challenge rows included."""
    rounds: Annotated[int, Range(1)] = 100
    """Rounds of one training; a second one may follow a flag."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 <= self.colluders <= self.clients - 2:
            raise ConfigError(
                f"colluders = {self.colluders}: choose 0 … {self.clients - 2} of {self.clients}"
                " clients, two must be honest"
            )


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
class Speeds:
    """Seconds per operation on this machine."""

    agreement: float
    """One X25519 agreement with its key derivation."""
    verification: float
    """One Ed25519 signature checked."""
    mask_byte: float
    """One byte of key stream made and added."""
    share_step: float
    """One share of one secret, per unit of the threshold."""
    combine_step: float
    """One share weighed into a restored secret."""


@dataclass(frozen=True)
class Cost:
    """Per round: one client's, and the server's."""

    client_bytes_up: int
    client_bytes_down: int
    """Without the invitation, which holds the model: 4·d bytes."""
    upload_expansion: float
    client_seconds: float
    server_seconds: float
    """Unmasking with ``expected dropouts`` clients missing."""


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
        lonely_sightings=lonely * groups * _RUN_ROUNDS,
        silent_beside_colluders=max(0, wired.silent - c),
        dump_audited=params.audit_probability / groups if groups >= WORTH_AUDITING else 0.0,
        speeds=speeds,
    )


def _seats(demand: Demand, budget: Budget) -> tuple[Seat, ...]:
    params, n, c, g = demand.params, demand.clients, demand.colluders, demand.params.group_size
    whole, few = budget.max_openings, min(budget.max_disputed, budget.max_openings)
    found = [("everybody uploads", Draw(n, c, g), whole)]
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
    )


def _union(each: float, groups: int) -> float:
    return min(1.0, 1.0 - (1.0 - each) ** groups)


def cost(demand: Demand, wired: Topology, speeds: Speeds) -> Cost:
    """Of one round in which the fraction ``params.dropouts`` is missing from the total."""
    params, n, k = demand.params, demand.clients, demand.statistics
    everybody = range(n)
    near = range(n - wired.degree, n)  # the longest ids: never fewer bytes than promised
    m, group = ring_bits(n, params.quantisation_bits), params.group_size
    up = [
        sizes.advertised_keys(),
        sizes.dealt_shares(n - 1, near),
        sizes.receipt(),
        sizes.upload(demand.dim, m),
        sizes.signature(),
        sizes.randomness_shares((*near, n - 1)),
        sizes.masked_statistics(k),
        sizes.signature(),
        sizes.opened_shares((*near, n - 1)),
    ]
    signers = range(n - wired.committee, n)
    down = [
        sizes.key_list(everybody),
        sizes.share_delivery(everybody, near),
        sizes.dealer_list(everybody),
        sizes.upload_list(everybody),
        sizes.signature_list(signers),
        sizes.randomness_list(everybody),
        sizes.accepted_set(everybody),
        sizes.signature_list(signers),
    ]
    holders, word = wired.degree + 1, 4
    client = (
        (2 * wired.degree + wired.degree + group) * speeds.agreement
        + _SECRETS * holders * wired.shares * speeds.share_step
        + 2 * (wired.degree + min(wired.committee, wired.quorum)) * speeds.verification
        + (wired.degree + 1) * demand.dim * word * speeds.mask_byte
        + group * k * 8 * speeds.mask_byte
    )
    missing = round(params.dropouts * n)
    server = (
        (n - missing) * demand.dim * word * speeds.mask_byte
        + missing * wired.degree * (speeds.agreement + demand.dim * word * speeds.mask_byte)
        + 3 * n * wired.shares * speeds.combine_step
        + 3 * n * speeds.verification
    )
    sent = sum(sizes.framed(size, 1) for size in up)
    return Cost(
        sent,
        sum(sizes.framed(size, 1) for size in down),
        sent * 8 / (demand.dim * params.quantisation_bits),
        client,
        server,
    )


def measure(wired: Topology) -> Speeds:
    """Under a second of timing on this machine."""
    one, other = KeyPair.draw(system_entropy), KeyPair.draw(system_entropy)
    signer = SigningKey.draw(system_entropy)
    signature = signer.sign(Tag.VIEW_SIGNATURE, b"plan")
    total = np.zeros(1 << 20, dtype=np.uint32)
    key = expand(bytes(32), Tag.UPDATE_SELF_MASK)
    secret, shares = Secret.draw(system_entropy), min(wired.shares, 64)
    holders = list(range(1, 2 * shares + 1))
    dealt = shamir.split(secret, shares, holders, system_entropy)
    combiner = shamir.Combiner(shares)

    def mask() -> None:
        for positions, block in words(key, len(total), np.uint32):
            total[positions] += block

    return Speeds(
        agreement=_time(lambda: one.shared_key(other.public, Tag.UPDATE_PAIRWISE_MASK), 200),
        verification=_time(
            lambda: verify(signer.verify_key, signature, Tag.VIEW_SIGNATURE, b"plan"), 200
        ),
        mask_byte=_time(mask, 10) / total.nbytes,
        share_step=_time(lambda: shamir.split(secret, shares, holders, system_entropy), 5)
        / (len(holders) * shares),
        combine_step=_time(lambda: combiner.combine(dealt), 200) / shares,
    )


def _time(work: Callable[[], object], times: int) -> float:
    """The median second of one call, after a first that is not counted."""
    work()
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return float(np.median(found))


def published_parameters(
    clients: int, colluders: int, dropouts: int, adversary: Adversary, sure: Published
) -> dict[str, int] | None:
    """Bell et al.'s degree and threshold for one masked sum alone, without what an adaptive
    server adds (docs/topology.md); None when only the complete graph will do."""
    found = neighbourhood(clients, colluders, dropouts, adversary, sure.sigma, sure.eta)
    return None if found is None else asdict(found)


def as_text(plan: Plan) -> str:
    """For people."""
    wired, demand, params = plan.topology, plan.demand, plan.demand.params
    n, c, g = demand.clients, demand.colluders, params.group_size
    graph = "complete graph" if wired.complete else f"sparse graph, {wired.degree} neighbours each"
    signers = "everybody" if wired.committee == n else f"a committee of {wired.committee}"
    alive = "" if wired.complete else " or left out, but for 2^-20"
    title_of_seats = "a chosen client among colluders only"
    title = f"per round, d = {demand.dim}, k = {demand.statistics}"
    sightings = f"{plan.lonely_sightings:.2g} such groups in {_RUN_ROUNDS} rounds"
    bits = f"⌈log2(n(2^b − 1) + 1)⌉ at b = {params.quantisation_bits}"
    lines = [
        f"{n} clients, {c} assumed to collude, groups of {g}, {graph}",
        "",
        f"  t  {wired.shares:>6}  shares restore a secret, of {wired.degree + 1} holders",
        f"  Q  {wired.quorum:>6}  signatures under the accepted set, of {signers}",
        f"  x  {wired.silent:>6}  clients may be silent{alive}",
        f"     {plan.silent_beside_colluders:>6}  honest ones, when all colluders fall silent too",
        f"  m  {plan.ring_bits:>6}  bits of the ring, {bits}",
        f"     {plan.fewest_present:>6}  clients at least in a round",
        f"     {plan.fewest_accepted:>6}  clients at least in a total of them all",
        "",
        "  promises",
        *(
            f"  {'kept' if promise.kept else 'WEAK':<6}{promise.name}: {promise.detail}"
            for promise in plan.promises
        ),
        "",
        f"  {title_of_seats:<40}{'uploads':>8}{'a draw':>10}{'draws':>7}{'a run':>10}",
        *(
            f"  {seat.case:<40}{seat.members:>8}{seat.alone:>10.2g}"
            f"{seat.draws:>7}{seat.alone_in_run:>10.2g}"
            for seat in plan.seats
        ),
        f"  (draws: all that the budget of {demand.rounds} rounds and a restart allows)",
        "",
        "  groups lost when clients are lost after the upload: "
        + ", ".join(f"{part:.0%} at {lost}" for lost, part in plan.groups_lost.items()),
        f"  some group's sum holds a single honest client: {plan.lonely_group:.2g} a round",
        f"  ({sightings})",
        f"  audits: a given group is left out in {plan.dump_audited:.2%} of the rounds,",
        "  and the groups of whoever the verdict accuses in half of them",
        "",
        f"  {title:<34}{'this plan':>12}{'complete':>12}",
    ]
    rows: list[tuple[str, Callable[[Cost], str]]] = [
        ("client sends, MB", lambda cost: f"{cost.client_bytes_up / 1e6:.3f}"),
        ("… over d·b bits", lambda cost: f"{cost.upload_expansion:.3f}"),
        ("client gets, MB, model apart", lambda cost: f"{cost.client_bytes_down / 1e6:.3f}"),
        ("client works, s", lambda cost: f"{cost.client_seconds:.3f}"),
        (
            f"server unmasks, s, {params.dropouts:.0%} missing",
            lambda cost: f"{cost.server_seconds:.3f}",
        ),
    ]
    lines += [f"  {name:<34}{show(plan.cost):>12}{show(plan.complete):>12}" for name, show in rows]
    if not wired.complete:
        row = f"of any {wired.degree // 2} clients in a row on the ring {wired.window}"
        lines += ["", f"  {row} must be in a total; a failed check is not localised"]
    return "\n".join(lines)
