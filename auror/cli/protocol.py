"""``auror protocol``."""

from __future__ import annotations

import json
import sys

import click

from auror.cli.shared import EPILOG, FORMAT, one_line_errors


@click.command(epilog=EPILOG)
@click.option("--clients", default=10, show_default=True, help="n, clients in the round.")
@click.option("--drop", default=1, show_default=True,
              help="How many of them vanish before their upload.")  # fmt: skip
@click.option("--exclude-group", type=int, default=None,
              help="A group that the defence leaves out.  [default: none]")  # fmt: skip
@click.option("--group-size", default=3, show_default=True, help="g, clients per group.")
@click.option("--seed", default=1, show_default=True, help="Decides everything random.")
@FORMAT
@one_line_errors
def protocol(
    clients: int, drop: int, exclude_group: int | None, group_size: int, seed: int, form: str
) -> None:
    """Play one round in memory and tell, phase by phase, what each party knows now."""
    from auror.tools.walkthrough import tell  # noqa: PLC0415 - keeps --help quick

    story = tell(clients, drop, exclude_group, group_size, seed)
    if form == "json":
        click.echo(json.dumps(story.to_dict()))
    else:
        for scene in story.scenes:
            title = click.style(f"{scene.phase:<2} {scene.title}", bold=True)
            click.echo(f"{title}  (docs/protocol.md {scene.steps})")
            for who, lines in (("clients", scene.clients), ("server now knows", scene.server)):
                label = click.style(f"{who:>18}", fg="cyan")
                for at, line in enumerate(lines):
                    click.echo(f"{label if at == 0 else ' ' * 18}  {line}")
            click.echo()
        checked = "yes" if story.exact else "NO"
        click.echo(f"everything opened equals sums over the plain inputs: {checked}")
    if not story.exact:
        sys.exit(1)
