"""``auror approve``, and the same as ``auror roster add``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auror.cli.shared import EPILOG, FORMAT, one_line_errors
from auror.deployment.issuing import VALID_DAYS
from auror.deployment.private_memory import keep_memory_private

if TYPE_CHECKING:
    from auror.deployment.membership import Concerned
    from auror.deployment.server_key import ServerApproved
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
@click.argument("requests", metavar="[REQUEST]…", type=click.Path(path_type=Path), nargs=-1)
@click.option("--server-request", default=None, metavar="REQUEST", type=click.Path(path_type=Path),
              help="Of the host that is to be the server (`auror enrol --server`): its certificate"
              " is for the hosts of `auror certs --server`.")  # fmt: skip
@click.option(
    "--replace-server",
    is_flag=True,
    help="The server has another key already; nobody renews that one any more.",
)
@CERTIFICATE_DAYS
@SERVER
@FORMAT
@one_line_errors
def command(
    folder: Path, requests: tuple[Path, ...], server_request: Path | None, replace_server: bool,
    days: int, server: str | None, form: str,
) -> None:  # fmt: skip
    """Make members of those who sent REQUEST… (`auror enrol`), in DIR, the operator's folder.

    Signs the next version of the policy, or the first one after `auror certs --enrol-later`, and
    writes a bundle for each. Compare fingerprints before: whoever is approved takes part.
    """
    from auror.deployment.membership import approve  # noqa: PLC0415 - keeps --help quick
    from auror.deployment.server_key import approve_server  # noqa: PLC0415

    _check_options(requests, server_request, replace_server, server)
    keep_memory_private()
    serving = None
    if server_request is not None:
        serving = approve_server(folder, server_request, days, replace_server)
    if requests:
        policy, concerned = approve(folder, requests, days, server)
        tell(folder, policy, concerned, form, serving=serving)
    elif serving is not None:
        if form == "json":
            click.echo(json.dumps({"server": asdict(serving), "operator": _operator(folder)}))
            return
        click.echo(_served(serving, f"; send it {serving.folder}, which holds no secret"))
        click.echo(f"{folder}: the operator's fingerprint is {_operator(folder)}")


def _check_options(
    requests: tuple[Path, ...],
    server_request: Path | None,
    replace_server: bool,
    server: str | None,
) -> None:
    """Raises ConfigError: nothing is asked for, or something has no effect."""
    from auror.errors import ConfigError  # noqa: PLC0415 - keeps --help quick

    if not requests and server_request is None:
        raise ConfigError("no request: name the files that `auror enrol` made")
    if replace_server and server_request is None:
        raise ConfigError("--replace-server has no effect without --server-request: leave it out")
    if server is not None and not requests:
        raise ConfigError(
            f"--server {server} has no effect without requests of sites, whose bundles name it:"
            " leave it out"
        )


def _operator(folder: Path) -> str:
    from auror.deployment.bundle import operator_fingerprint  # noqa: PLC0415
    from auror.deployment.certs import OPERATOR_FOLDER  # noqa: PLC0415
    from auror.deployment.credentials import operator_key  # noqa: PLC0415

    return operator_fingerprint(operator_key(folder / OPERATOR_FOLDER))


def _served(serving: ServerApproved, more: str = "") -> str:
    text = (
        f"server (request {serving.request}): certificate for {', '.join(serving.hosts)}, until"
        f" {serving.until}{more}"
    )
    if serving.before is not None:
        text += (
            f"\nnote: the certificate of the key before serves until {serving.before}: whoever has"
            " that key can stand in for the server until then (docs/membership.md)"
        )
    return text


def tell(
    folder: Path,
    policy: Policy,
    concerned: list[Concerned],
    form: str,
    more: str = "",
    serving: ServerApproved | None = None,
) -> None:
    """What has to be copied where. ``more``: what else the server has to get."""
    from auror.deployment.certs import SERVER_FOLDER  # noqa: PLC0415
    from auror.deployment.credentials import CERTIFICATE_FILE  # noqa: PLC0415
    from auror.deployment.membership import expires_on  # noqa: PLC0415

    key = _operator(folder)
    if form == "json":
        made: dict[str, Any] = {
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
        if serving is not None:
            made["server"] = asdict(serving)
        click.echo(json.dumps(made))
        return
    for one in concerned:
        # the site chose its name, so it stands behind what is compared, in quotes
        name = json.dumps(one.name, ensure_ascii=False)
        asked = f" (request {one.request}, {name})" if one.request else ""
        click.echo(f"client {one.client}{asked}: send it {one.bundle}")
    if serving is not None:
        click.echo(_served(serving))
    all_of_it = policy.version == 1 or serving is not None
    whole = f"server/{'' if all_of_it else 'policy.json'} to the server"
    click.echo(
        f"{folder}: version {policy.version}, {len(policy.members)} members, until"
        f" {expires_on(policy)}; copy {whole}{more}: it hands the version on to connected clients"
    )
    click.echo(f"{folder}: the operator's fingerprint is {key}")
    if not (folder / SERVER_FOLDER / CERTIFICATE_FILE).exists():
        click.echo("note: nobody is the server yet: approve its request with --server-request")
    if len(policy.members) > 2 * policy.params.group_size and policy.params.colluders == 0:
        click.echo("note: c = 0: this deployment promises nothing about members that collude")
