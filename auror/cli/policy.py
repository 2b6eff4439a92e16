"""``auror policy``."""

from __future__ import annotations

from pathlib import Path

import click

from auror.cli.shared import EPILOG, one_line_errors


@click.group("policy")
def command() -> None:
    """Versions of a deployment's signed policy."""


@command.command("next", epilog=EPILOG)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--without", default="", metavar="CLIENTS",
              help='Clients to exclude, e.g. "3,7".')  # fmt: skip
@click.option("--days", type=int, default=None,
              help="Days until it expires.  [default: the date of the version before]")  # fmt: skip
@click.option("--release-model/--no-release-model", "release_model", default=None,
              help="Whether clients get the model.  [default: as the version before]")  # fmt: skip
@one_line_errors
def following(folder: Path, without: str, days: int | None, release_model: bool | None) -> None:
    """Sign the next version in DIR, the folder that `auror certs` made.

    The others keep their numbers. Copy policy.json to the server and to every client, and start
    them again: a client that has seen a version takes no earlier one.
    """
    from auror.deployment.certs import next_policy  # noqa: PLC0415
    from auror.errors import ConfigError  # noqa: PLC0415 - keeps --help quick
    from auror.ids import ClientId  # noqa: PLC0415

    words = [word.strip() for word in without.split(",") if word.strip()]
    if not all(word.isdecimal() for word in words):
        raise ConfigError(f'--without "{without}": write it like 3,7')
    made = next_policy(folder, {ClientId(int(word)) for word in words}, days, release_model)
    click.echo(
        f"{folder}: version {made.version}, {len(made.members)} members; copy server/policy.json to"
        " the server and clients/NNN/policy.json to client NNN, and start them again"
    )
