"""``auror enrol``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from auror.cli.shared import EPILOG, FORMAT, one_line_errors
from auror.deployment.private_memory import keep_memory_private


@click.command("enrol", epilog=EPILOG)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--name", default=None, metavar="TEXT",
              help="What the operator calls this site, 1 … 64 characters; other sites do not see"
              " it.  [default: the name of DIR]")  # fmt: skip
@click.option("--finish", "bundle", type=click.Path(path_type=Path), default=None, metavar="BUNDLE",
              help="File that came back from the operator: put it beside the keys.")  # fmt: skip
@click.option("--operator", default=None, metavar="HEX",
              help="Fingerprint of the operator's key, as you were told it by telephone, say: a"
              " bundle of another one is refused.  [default: shown, not compared]")  # fmt: skip
@FORMAT
@one_line_errors
def command(
    folder: Path, name: str | None, bundle: Path | None, operator: str | None, form: str
) -> None:
    """Make this site's keys in the new folder DIR, and a request to become a member.

    Send DIR/request.json to the operator, and nothing else: keys never leave DIR. What comes back
    is for --finish; it holds no secret either.
    """
    from auror.deployment.absent import REQUEST_FILE  # noqa: PLC0415
    from auror.deployment.bundle import finish, operator_fingerprint  # noqa: PLC0415
    from auror.deployment.join_request import make_request  # noqa: PLC0415
    from auror.deployment.model_file import own_code  # noqa: PLC0415
    from auror.errors import ConfigError  # noqa: PLC0415 - keeps --help quick

    keep_memory_private()
    if bundle is None:
        if operator is not None:
            raise ConfigError(f"--operator {operator} has no effect without --finish: leave it out")
        request = make_request(folder, folder.absolute().name if name is None else name)
        path = folder / REQUEST_FILE
        made: dict[str, str | int] = {
            "request": str(path),
            "name": request.name,
            "fingerprint": request.fingerprint,
        }
        text = (
            f"{folder}: keys made; send {path} to the operator, and nothing else\n"
            f"{folder}: the request's fingerprint is {request.fingerprint}"
        )
    else:
        if name is not None:
            raise ConfigError(f"--name {name} has no effect with --finish: leave it out")
        found, policy = finish(folder, bundle, operator)
        told, task = operator_fingerprint(found.operator), own_code(policy.task)
        made = {
            "client": int(found.client),
            "deployment": policy.name,
            "version": policy.version,
            "members": len(policy.members),
            "server": found.server,
            "operator": told,
        }
        text = (
            f"{folder}: client {found.client} of deployment {policy.name}, version"
            f" {policy.version}, {len(policy.members)} members\n"
            f"{folder}: the operator's fingerprint is {told}"
            f"{'' if operator else '; compare it over another channel'}\n"
            f"{folder}: start with `auror-client --server {found.server} --credentials {folder}"
            f" --state STATE --data DATA{f' --task {task}' if task else ''}`"
        )
    click.echo(json.dumps(made) if form == "json" else text)
