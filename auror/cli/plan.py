"""``auror plan``."""

from __future__ import annotations

import json
import math
from typing import Any

import click

from auror.cli.flags import flags_of, given
from auror.cli.shared import EPILOG, FORMAT, one_line_errors
from auror.errors import ConfigError
from auror.params import RoundParams
from auror.programs.enrol import Enrolment, usual_params
from auror.secagg.calculator import Adversary
from auror.tools.costs import Demand
from auror.tools.plan import Published, make_plan, published_parameters
from auror.tools.plan_text import as_text

_PARAMS = (
    "dropouts",
    "quantisation_bits",
    "audit_probability",
    "watch_rate",
    "patience",
    "training_patience",
)
_DEMAND = ("dim", "statistics", "rounds")
_ROUND = (*_DEMAND, *_PARAMS[1:])
_PUBLISHED = ("sigma", "eta")


@click.command("plan", epilog=EPILOG)
@flags_of(Demand, "clients")
@flags_of(Enrolment, "colluders", "group_size")
@flags_of(Demand, "dim", "statistics", "rounds")
@flags_of(RoundParams, *_PARAMS)
@click.option("--published", type=click.Choice([one.value for one in Adversary]), default=None,
              help="Degree and threshold of Bell et al. 2020, one masked sum.")  # fmt: skip
@flags_of(Published)
@FORMAT
@one_line_errors
def command(published: str | None, form: str, **options: Any) -> None:
    """Thresholds, graph, what can go wrong with which chance, and the cost of a round."""
    asked = given(options)
    idle, why = (_PUBLISHED, "without") if published is None else (_ROUND, "with")
    for name in (name for name in idle if name in asked):
        raise ConfigError(f"{name} = {asked[name]} has no effect {why} --published: leave it out")
    n = asked["clients"]
    usual = usual_params(n, asked.get("group_size"), asked.get("colluders"))
    params = RoundParams(
        group_size=usual.group_size,
        colluders=usual.colluders,
        **{name: asked[name] for name in _PARAMS if name in asked},
    )
    demand = Demand(
        clients=n,
        colluders=params.colluders,
        params=params,
        **{name: asked[name] for name in _DEMAND if name in asked},
    )
    if published is None:
        made = make_plan(demand)
        click.echo(json.dumps(made.to_dict()) if form == "json" else as_text(made))
        return
    sure = Published(**{name: asked[name] for name in _PUBLISHED if name in asked})
    silent = math.floor(round(params.dropouts * n, 6))
    found = published_parameters(n, params.colluders, silent, Adversary(published), sure)
    if form == "json":
        click.echo(json.dumps(found))
    elif found is None:
        click.echo("only the complete graph will do")
    else:
        click.echo(f"degree {found['degree']}, threshold {found['threshold']}")
