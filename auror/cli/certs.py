"""``auror certs``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from auror.cli.flags import flags_of, given
from auror.cli.shared import CHECK, EPILOG, FORMAT, one_line_errors, told
from auror.deployment.checks import Checklist, check_writable
from auror.deployment.private_memory import keep_memory_private
from auror.programs.enrol import Enrolment, terms_of


@click.command("certs", epilog=EPILOG)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--server", "hosts", multiple=True, required=True, metavar="HOST",
              help="Name or address under which clients reach the server; may repeat.")  # fmt: skip
@flags_of(Enrolment)
@click.option("--enrol-later", is_flag=True,
              help="Make neither clients' keys nor the server's: --clients are expected, and all"
              " come by `auror enrol` and `auror approve`.")  # fmt: skip
@CHECK
@FORMAT
@one_line_errors
def command(
    folder: Path, hosts: tuple[str, ...], enrol_later: bool, only_check: bool, form: str,
    **options: Any,
) -> None:  # fmt: skip
    """Make a deployment in the new folder DIR: CA, operator's key, first models.

    Without --enrol-later everybody's keys too, and the signed policy: for trying out, since keys
    then travel to the server and its clients.
    """
    from auror.deployment.certs import check_new, create_deployment  # noqa: PLC0415
    from auror.errors import ConfigError  # noqa: PLC0415

    keep_memory_private()
    if enrol_later and options["certificate_days"] is not None:
        raise ConfigError(
            "--certificate-days has no effect with --enrol-later, which issues no certificates:"
            " give --days to `auror approve`"
        )
    if only_check:
        checks = Checklist(told, form)
        asked = checks.run("settings", lambda: Enrolment(**given(options)))
        if asked is not None:
            checks.run("hosts and folder", lambda: check_new(folder, asked.clients, hosts))
            checks.run("data, task and policy", lambda: terms_of(asked))
        checks.run("folder", lambda: check_writable("DIR", folder), str)
        sys.exit(checks.finish())
    wanted = Enrolment(**given(options))
    check_new(folder, wanted.clients, hosts)  # before data are loaded and models are drawn
    signed = terms_of(wanted)
    samples = 0 if signed.clean is None else len(signed.clean.y)
    made = create_deployment(folder, wanted.clients, hosts, signed, enrol_later=enrol_later)
    g, c = made.params.group_size, made.params.colluders
    if form == "json":
        click.echo(json.dumps({
            "deployment": made.name, "clients": wanted.clients, "group_size": g, "colluders": c,
            "enrol_later": enrol_later,
            "clean_samples": samples,
        }))  # fmt: skip
        return
    todo = "copy server/ to the server and clients/NNN/ to client NNN"
    if enrol_later:
        todo = (
            f"next: `auror approve {folder} REQUEST … --server-request REQUEST`, for all first"
            " members at once"
        )
    click.echo(
        f"{folder}: deployment {made.name}, {wanted.clients} clients in groups of {g}, {c} may"
        f" collude; {todo}"
    )
    click.echo(f"{folder}/operator: keep it offline, neither server nor clients may hold it")
    if samples:
        click.echo(f"{samples} clean samples are signed, which everybody gets to see: clean.npz")
    if c > g - 2:
        click.echo(
            f"note: with c = {c} > g - 2 = {g - 2} a client may meet colluders only; `auror plan"
            f" --clients {wanted.clients} --group-size {g} --colluders {c}` says how often"
        )
