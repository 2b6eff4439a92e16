"""What the commands share that tell a running server something: ``auror pause`` and the like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

RUN = click.argument(
    "run", metavar="[RUN]", type=click.Path(path_type=Path), default=Path("runs/server")
)
"""A run folder."""


def ask(run: Path, do: str, **what: Any) -> dict[str, Any]:
    """Tell the server on ``run`` to ``do`` something, and return its answer.

    Raises:
        UserError: it refuses, or there is none.
    """
    from auror.deployment.control_socket import granted  # noqa: PLC0415 - keeps --help quick

    nobody = (
        f"no server takes commands on {run}: name the run folder of an auror-server that runs on"
        f" this machine, as this user; `auror status {run}` says where it stands"
    )
    return granted(run, {"do": do, **what}, nobody)


def tell(said: dict[str, Any], text: str, form: str) -> None:
    """On standard output."""
    click.echo(json.dumps(said) if form == "json" else text)


def ids(text: str) -> list[int]:
    """Clients like "3,7-9". Raises ConfigError."""
    from auror.deployment.addresses import parse_ids  # noqa: PLC0415 - keeps --help quick

    return [int(client) for client in parse_ids("CLIENTS", text)]


def listed(clients: list[int]) -> str:
    """For people."""
    return ", ".join(map(str, clients)) or "nobody"
