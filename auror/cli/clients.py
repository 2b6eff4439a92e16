"""``auror clients``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auror.cli.operating import RUN
from auror.cli.shared import EPILOG, FORMAT, one_line_errors

if TYPE_CHECKING:
    from auror.report.clients import ClientLine, ClientLines


@click.command("clients", epilog=EPILOG)
@RUN
@FORMAT
@one_line_errors
def command(run: Path, form: str) -> None:
    """List the clients of a server's run: who is here, who is invited, what became of their rounds.

    RUN is the run folder of an auror-server, on this machine and of this user.
    [default: runs/server] Without a server what its database holds is shown. Rounds are the last
    20. Names of sites are the operator's: `auror roster list`.
    """
    from auror.report.clients import client_lines  # noqa: PLC0415 - keeps --help quick

    found = client_lines(run)
    click.echo(json.dumps(found.to_dict()) if form == "json" else as_text(found))


def as_text(found: ClientLines) -> str:
    """A table for people."""
    head = ("client", "connected", "training", "in total", "invited", "last rounds")
    rows = [head, *(_row(line) for line in found.clients)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    lines = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    title = f"server {found.server} on {found.folder}; of the last {found.rounds} rounds"
    return "\n".join([title, *lines])


def _row(line: ClientLine) -> tuple[str, ...]:
    here = {None: "?", True: "yes", False: "no"}[line.connected]
    if line.waited_for:
        here += ", waited for"
    said = [f"{reason} ×{times}" for reason, times in line.dropped.items()]
    if line.withdrawn is not None:
        said.append(f"withdrew: {line.withdrawn}")
    standing = line.standing
    if line.paused_until is not None:
        standing += f" until round {line.paused_until}"
    return (
        str(line.client), here, standing, str(line.in_total), str(line.invited), ", ".join(said),
    )  # fmt: skip
