"""``auror roster``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auror.cli import approve
from auror.cli.approve import CERTIFICATE_DAYS, SERVER, tell
from auror.cli.shared import EPILOG, FORMAT, one_line_errors
from auror.deployment.console import CommandGroup
from auror.deployment.private_memory import keep_memory_private

if TYPE_CHECKING:
    from auror.ids import ClientId

_FOLDER = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
_CLIENTS = click.argument("clients", metavar="CLIENTS")


@click.group("roster", cls=CommandGroup, epilog=EPILOG)
def command() -> None:
    """Who is a member of the deployment in DIR, the operator's folder.

    Every change is a signed version of the policy. A running server takes it between two rounds,
    from the server/policy.json that you copy to it, and hands it on to its clients.
    """


command.add_command(approve.command, "add")


@command.command("list", epilog=EPILOG)
@_FOLDER
@FORMAT
@one_line_errors
def listing(folder: Path, form: str) -> None:
    """Show everybody who was ever enrolled: number, name, since when, certificate, identity."""
    from auror.deployment.membership import expires_on, rows  # noqa: PLC0415

    keep_memory_private()
    policy, found = rows(folder)
    if form == "json":
        made = {
            "deployment": policy.name,
            "version": policy.version,
            "expires": expires_on(policy),
            "clients": [row.to_dict() for row in found],
        }
        click.echo(json.dumps(made))
        return
    click.echo(
        f"{folder}: version {policy.version}, {len(policy.members)} members, until"
        f" {expires_on(policy)}"
    )
    click.echo("client  state   since  certificate  identity          name")
    for row in found:
        until = row.certificate_until or "-"
        click.echo(
            f"{row.client:>6}  {row.state:<6}  {row.since:>5}  {until:<11}  {row.identity[:16]}"
            f"  {row.name}".rstrip()
        )


@command.command("revoke", epilog=EPILOG)
@_FOLDER
@_CLIENTS
@FORMAT
@one_line_errors
def revoking(folder: Path, clients: str, form: str) -> None:
    """Sign a version without CLIENTS, such as "3,7-9": the server knows them no more.

    The floors of the others follow from the members that stay. Numbers are not given again.
    """
    from auror.deployment.membership import revoke  # noqa: PLC0415 - keeps --help quick

    keep_memory_private()
    tell(folder, revoke(folder, _ids(clients)), [], form)


@command.command("reinstate", epilog=EPILOG)
@_FOLDER
@_CLIENTS
@SERVER
@FORMAT
@one_line_errors
def reinstating(folder: Path, clients: str, server: str | None, form: str) -> None:
    """Sign a version in which CLIENTS count anew: who was revoked, or whom a training flagged.

    Each keeps its number, its keys and what it has spent. Evidence of before is kept and shown; a
    flag takes evidence and audits of after.
    """
    from auror.deployment.membership import reinstate  # noqa: PLC0415 - keeps --help quick

    keep_memory_private()
    tell(folder, *reinstate(folder, _ids(clients), server), form)


@command.command("renew", epilog=EPILOG)
@_FOLDER
@_CLIENTS
@CERTIFICATE_DAYS
@SERVER
@FORMAT
@one_line_errors
def renewing(folder: Path, clients: str, days: int, server: str | None, form: str) -> None:
    """Issue new certificates for the keys of CLIENTS, such as "0-5" or "0,3,server"; sign a
    version.

    The policy then lasts as many days at least. A new certificate is for the same key, and the old
    one serves until it expires: nobody has to stop for it.
    """
    from auror.deployment.membership import renew  # noqa: PLC0415 - keeps --help quick

    keep_memory_private()
    words = [word.strip() for word in clients.split(",")]
    too = "server" in words
    named = _ids(",".join(word for word in words if word != "server"), may_be_empty=too)
    made = renew(folder, named, days, server_too=too, server=server)
    tell(folder, *made, form, " and server/cert.pem" if too else "")


def _ids(text: str, may_be_empty: bool = False) -> tuple[ClientId, ...]:
    from auror.deployment.addresses import parse_ids  # noqa: PLC0415 - keeps --help quick
    from auror.errors import ConfigError  # noqa: PLC0415

    found = parse_ids("CLIENTS", text)
    if not found and not may_be_empty:
        raise ConfigError('CLIENTS = "": name clients like "3,7-9"')
    return found
