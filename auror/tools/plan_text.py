"""A plan for people."""

from __future__ import annotations

from collections.abc import Callable

from auror.tools.costs import Cost
from auror.tools.plan import RUN_ROUNDS, Plan


def as_text(plan: Plan) -> str:
    """For people."""
    wired, demand, params = plan.topology, plan.demand, plan.demand.params
    n, c, g = demand.clients, demand.colluders, params.group_size
    graph = "complete graph" if wired.complete else f"sparse graph, {wired.degree} neighbours each"
    signers = "everybody" if wired.committee == n else f"a committee of {wired.committee}"
    alive = "" if wired.complete else " or left out, but for 2^-20"
    patience = f"{params.patience} s a phase, {params.training_patience} s with training"
    title_of_seats = "a chosen client among colluders only"
    title = f"per round, d = {demand.dim}, k = {demand.statistics}"
    sightings = f"{plan.lonely_sightings:.2g} such groups in {RUN_ROUNDS} rounds"
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
        f"  who answers at the last moment makes a round {plan.tolerated_delay_s:.0f} s longer,",
        f"  or more where others need long ({patience})",
        f"  label rows: opened in {plan.most_watched} rounds at most until somebody is flagged,",
        f"  then, and once everybody is decided, in {params.watch_rate:.0%} of the rounds",
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
