"""``auror plan``."""

from __future__ import annotations

import json
import math

import click

from auror.cli.shared import EPILOG, FORMAT, one_line_errors


@click.command(epilog=EPILOG)
@click.option("--clients", type=click.IntRange(2, 1_000_000), required=True, help="n, the cohort.")
@click.option("--colluders", type=int, default=None,
              help="c, who may collude.  [default: g - 2, as `auror certs`]")  # fmt: skip
@click.option("--dropouts", default=0.1, show_default=True,
              help="Fraction that may be silent or left out.")  # fmt: skip
@click.option("--group-size", type=int, default=None,
              help="g, clients per group.  [default: as `auror certs`: 5, or half]")  # fmt: skip
@click.option("--rounds", default=100, show_default=True, help="Rounds of one training.")
@click.option("--dim", default=50_890, show_default=True, help="d, entries of an update.")
@click.option("--statistics", default=108, show_default=True,
              help="k, statistics per group, challenge rows included.")  # fmt: skip
@click.option("--quantisation-bits", default=16, show_default=True, help="b, bits of an entry.")
@click.option("--audit-probability", default=0.1, show_default=True,
              help="Chance that a round leaves out a random group.")  # fmt: skip
@click.option("--published", type=click.Choice(["curious", "semi-malicious"]), default=None,
              help="Degree and threshold of Bell et al. 2020, one masked sum.")  # fmt: skip
@click.option("--sigma", default=40, show_default=True,
              help="With --published: security, unsafe with 2^-sigma.")  # fmt: skip
@click.option("--eta", default=20, show_default=True,
              help="With --published: liveness, stuck with 2^-eta.")  # fmt: skip
@FORMAT
@one_line_errors
def plan(
    clients: int, colluders: int | None, dropouts: float, group_size: int | None, rounds: int,
    dim: int, statistics: int, quantisation_bits: int, audit_probability: float,
    published: str | None, sigma: int, eta: int, form: str,
) -> None:  # fmt: skip
    """Thresholds, graph, what can go wrong with which chance, and the cost of a round."""
    from auror.errors import ConfigError  # noqa: PLC0415 - keeps --help quick
    from auror.params import RoundParams  # noqa: PLC0415
    from auror.programs.enrol import Enrolment  # noqa: PLC0415
    from auror.secagg.calculator import Adversary  # noqa: PLC0415
    from auror.tools.plan import (  # noqa: PLC0415
        Demand,
        as_text,
        make_plan,
        published_parameters,
    )

    usual = Enrolment(clients=clients, group_size=group_size, colluders=colluders).params()
    bad = usual.colluders
    if not 0 <= bad < clients:
        raise ConfigError(f"--colluders {bad}: choose 0 … {clients - 2}")
    if dim < 1 or statistics < 0:
        raise ConfigError("--dim must be 1 or more and --statistics 0 or more")
    params = RoundParams(
        group_size=usual.group_size,
        colluders=bad,
        quantisation_bits=quantisation_bits,
        dropouts=dropouts,
        audit_probability=audit_probability,
    )
    if published is not None:
        silent = math.floor(round(dropouts * clients, 6))
        found = published_parameters(clients, bad, silent, Adversary(published), sigma, eta)
        if form == "json":
            click.echo(json.dumps(found))
        elif found is None:
            click.echo("only the complete graph will do")
        else:
            click.echo(f"degree {found['degree']}, threshold {found['threshold']}")
        return
    made = make_plan(
        Demand(
            clients=clients,
            colluders=bad,
            params=params,
            dim=dim,
            statistics=statistics,
            rounds=rounds,
        )
    )
    click.echo(json.dumps(made.to_dict()) if form == "json" else as_text(made))
