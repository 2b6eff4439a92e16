"""``auror enrol``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auror.cli.shared import EPILOG, FORMAT, one_line_errors
from auror.deployment.addresses import PORT
from auror.deployment.private_memory import keep_memory_private

if TYPE_CHECKING:
    from auror.round.policy import Policy


@click.command("enrol", epilog=EPILOG)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--server",
    "server",
    is_flag=True,
    help="These are the server's: a key, and a request to be the server.",
)
@click.option("--name", default=None, metavar="TEXT",
              help="What the operator calls this site, 1 … 64 characters; other sites do not see"
              " it.  [default: the name of DIR]")  # fmt: skip
@click.option("--finish", "bundle", type=click.Path(path_type=Path), default=None, metavar="BUNDLE",
              help="What came back from the operator, a file for a site, a folder for the server:"
              " put it beside the keys.")  # fmt: skip
@click.option("--operator", default=None, metavar="HEX",
              help="Fingerprint of the operator's key, as you were told it by telephone, say: a"
              " bundle of another one is refused.  [default: shown, not compared]")  # fmt: skip
@FORMAT
@one_line_errors
def command(
    folder: Path, server: bool, name: str | None, bundle: Path | None, operator: str | None,
    form: str,
) -> None:  # fmt: skip
    """Make this site's keys in the new folder DIR, and a request to become a member.

    Send DIR/request.json to the operator, and nothing else: keys never leave DIR. What comes back
    is for --finish; it holds no secret either.
    """
    from auror.errors import ConfigError  # noqa: PLC0415 - keeps --help quick

    keep_memory_private()
    if bundle is None:
        if operator is not None:
            raise ConfigError(f"--operator {operator} has no effect without --finish: leave it out")
        if server and name is not None:
            raise ConfigError(f"--name {name} has no effect with --server: leave it out")
        made, text = _asked(folder, server, name)
    else:
        if name is not None:
            raise ConfigError(f"--name {name} has no effect with --finish: leave it out")
        if server:
            raise ConfigError("--server has no effect with --finish: leave it out")
        as_server = bundle.is_dir()
        made, text = (_finished_server if as_server else _finished)(folder, bundle, operator)
    click.echo(json.dumps(made) if form == "json" else text)


def _asked(folder: Path, server: bool, name: str | None) -> tuple[dict[str, Any], str]:
    from auror.deployment.credential_files import REQUEST_FILE  # noqa: PLC0415
    from auror.deployment.join_request import make_request, make_server_request  # noqa: PLC0415

    path = folder / REQUEST_FILE
    made: dict[str, Any] = {"request": str(path)}
    if server:
        made["fingerprint"] = make_server_request(folder).fingerprint
    else:
        asked = make_request(folder, folder.absolute().name if name is None else name)
        made |= {"name": asked.name, "fingerprint": asked.fingerprint}
    return made, (
        f"{folder}: {'key' if server else 'keys'} made; send {path} to the operator, and nothing"
        f" else\n{folder}: the request's fingerprint is {made['fingerprint']}"
    )


def _finished(folder: Path, bundle: Path, operator: str | None) -> tuple[dict[str, Any], str]:
    from auror.deployment.bundle import finish  # noqa: PLC0415
    from auror.deployment.model_file import own_code  # noqa: PLC0415

    found, policy = finish(folder, bundle, operator)
    task = own_code(policy.task)
    made = {"client": int(found.client), **_held(policy, found.operator), "server": found.server}
    return made, (
        f"{folder}: client {found.client} of {_shown(made)}\n"
        f"{_compare(folder, made, operator)}\n"
        f"{folder}: start with `auror-client --server {found.server} --credentials {folder}"
        f" --state STATE --data DATA{f' --task {task}' if task else ''}`"
    )


def _finished_server(
    folder: Path, source: Path, operator: str | None
) -> tuple[dict[str, Any], str]:
    from auror.deployment.model_file import own_code  # noqa: PLC0415
    from auror.deployment.server_folder import finish_server  # noqa: PLC0415

    policy, signer = finish_server(folder, source, operator)
    task, made = own_code(policy.task), _held(policy, signer)
    return made, (
        f"{folder}: the server of {_shown(made)}\n"
        f"{_compare(folder, made, operator)}\n"
        f"{folder}: start with `auror-server --listen 0.0.0.0:{PORT} --credentials {folder}"
        f" --data DATA{f' --task {task}' if task else ''}`"
    )


def _held(policy: Policy, operator: bytes) -> dict[str, Any]:
    from auror.deployment.bundle import operator_fingerprint  # noqa: PLC0415

    return {
        "deployment": policy.name,
        "version": policy.version,
        "members": len(policy.members),
        "operator": operator_fingerprint(operator),
    }


def _shown(made: dict[str, Any]) -> str:
    return f"deployment {made['deployment']}, version {made['version']}, {made['members']} members"


def _compare(folder: Path, made: dict[str, Any], operator: str | None) -> str:
    told = f"{folder}: the operator's fingerprint is {made['operator']}"
    return told if operator else f"{told}; compare it over another channel"
