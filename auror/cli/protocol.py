"""``auror protocol``."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from auror.cli.flags import flags_of, given
from auror.cli.shared import EPILOG, FORMAT, one_line_errors
from auror.tools.walkthrough import Walk, tell


@click.command("protocol", epilog=EPILOG)
@flags_of(Walk)
@FORMAT
@one_line_errors
def command(form: str, **options: Any) -> None:
    """Play one round in memory and tell, phase by phase, what each party knows now."""
    story = tell(Walk(**given(options)))
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
