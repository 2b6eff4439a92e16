"""``auror approve``, and the same as ``auror roster add``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auror.cli.shared import EPILOG, FORMAT, one_line_errors
from auror.deployment.issuing import VALID_DAYS
from auror.deployment.private_memory import keep_memory_private

if TYPE_CHECKING:
    from auror.deployment.membership import Concerned
    from auror.round.policy import Policy

SERVER = click.option(
    "--server", default=None, metavar="HOST:PORT",
    help="Where clients reach the server, for their bundles.  [default: the first host of `auror"
    " certs --server`, port 7443]",
)  # fmt: skip
CERTIFICATE_DAYS = click.option(
    "--days", type=click.IntRange(1, VALID_DAYS), default=VALID_DAYS, show_default=True,
    help="Days until the certificates expire.",
)  # fmt: skip


@click.command("approve", epilog=EPILOG)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("requests", metavar="REQUEST…", type=click.Path(path_type=Path), nargs=-1,
                required=True)  # fmt: skip
@CERTIFICATE_DAYS
@SERVER
@FORMAT
@one_line_errors
def command(
    folder: Path, requests: tuple[Path, ...], days: int, server: str | None, form: str
) -> None:
    """Make members of those who sent REQUEST… (`auror enrol`), in DIR, the operator's folder.

    Signs the next version of the policy, or the first one after `auror certs --enrol-later`, and
    writes a bundle for each. Compare fingerprints before: whoever is approved takes part.
    """
    from auror.deployment.membership import approve  # noqa: PLC0415 - keeps --help quick

    keep_memory_private()
    policy, concerned = approve(folder, requests, days, server)
    tell(folder, policy, concerned, form)


def tell(
    folder: Path, policy: Policy, concerned: list[Concerned], form: str, more: str = ""
) -> None:
    """What has to be copied where. ``more``: what else the server has to get."""
    from auror.deployment.bundle import operator_fingerprint  # noqa: PLC0415
    from auror.deployment.certs import OPERATOR_FOLDER  # noqa: PLC0415
    from auror.deployment.credentials import operator_key  # noqa: PLC0415
    from auror.deployment.membership import expires_on  # noqa: PLC0415

    key = operator_fingerprint(operator_key(folder / OPERATOR_FOLDER))
    if form == "json":
        made = {
            "deployment": policy.name,
            "version": policy.version,
            "members": sorted(map(int, policy.members)),
            "expires": expires_on(policy),
            "operator": key,
            "clients": [
                {
                    "client": int(one.client),
                    "name": one.name,
                    "request": one.request,
                    "bundle": one.bundle,
                }
                for one in concerned
            ],
        }
        click.echo(json.dumps(made))
        return
    for one in concerned:
        name = f" ({one.name}, request {one.request})" if one.request else ""
        click.echo(f"client {one.client}{name}: send it {one.bundle}")
    whole = "server/ to the server" if policy.version == 1 else "server/policy.json to the server"
    click.echo(
        f"{folder}: version {policy.version}, {len(policy.members)} members, until"
        f" {expires_on(policy)}; copy {whole}{more}: it hands the version on to connected clients"
    )
    click.echo(f"{folder}: the operator's fingerprint is {key}")
    if len(policy.members) > 2 * policy.params.group_size and policy.params.colluders == 0:
        click.echo("note: c = 0: this deployment promises nothing about members that collude")
