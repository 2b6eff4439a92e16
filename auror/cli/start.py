"""``auror start``."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click

from auror.cli.shared import EPILOG, FORMAT, one_line_errors

_LOOK_S = 1.0


@click.command("start", epilog=EPILOG)
@click.argument("folder", metavar="RUNS", type=click.Path(path_type=Path))
@click.option("--rounds", type=click.IntRange(1), default=None,
              help="Rounds of the training.  [default: as the server is set]")  # fmt: skip
@click.option("--after-flag", type=click.Choice(["restart", "continue"]), default=None,
              help="What a flag does.  [default: as the server is set]")  # fmt: skip
@click.option("--min-clients", type=click.IntRange(0), default=None,
              help="Clients to wait for, 0 = all.  [default: as the server is set]")  # fmt: skip
@click.option("--from", "from_model", type=click.Path(path_type=Path), default=None,
              help="Model that the policy signs for it.  [default: a fresh one]")  # fmt: skip
@click.option("--resume", default=None, metavar="NNNN",
              help="Go on with a run that ended early, as it was asked for.")  # fmt: skip
@click.option("--wait", is_flag=True,
              help="Until it has ended; the exit code is then its own.")  # fmt: skip
@FORMAT
@one_line_errors
def command(
    folder: Path, rounds: int | None, after_flag: str | None, min_clients: int | None,
    from_model: Path | None, resume: str | None, wait: bool, form: str,
) -> None:  # fmt: skip
    """Start a training at the server that stands on RUNS, on this machine and as its user.

    What is trained, and how often, the operator has signed: the task, the first models, everybody's
    budget. What the policy does not allow is refused.
    """
    # imported here: keeps --help quick
    from auror.cli.runs import as_text  # noqa: PLC0415
    from auror.deployment.control_socket import Asked, granted  # noqa: PLC0415
    from auror.errors import UnavailableError  # noqa: PLC0415
    from auror.report.runs import UNDER_WAY, look_at  # noqa: PLC0415

    asked = Asked(
        rounds=rounds,
        after_flag=after_flag,
        min_clients=min_clients,
        from_model=None if from_model is None else str(from_model.absolute()),
        resume=resume,
    )
    said = granted(folder, {"do": "start", "asked": asked.to_dict()})
    if not wait:
        done = f"training {said['run']} is under way: auror status {said['folder']}"
        click.echo(json.dumps(said) if form == "json" else done)
        return
    run, before = said["run"], ""
    while True:
        standing, line = look_at(folder, run)
        if line.code is not None:
            break
        if not standing and line.state != UNDER_WAY:
            raise UnavailableError(
                f"the server on {folder} ended; its next start goes on with {run}"
            )
        now = as_text(line)
        if now != before:
            click.echo(now, err=True)
            before = now
        time.sleep(_LOOK_S)
    click.echo(json.dumps(asdict(line)) if form == "json" else as_text(line))
    sys.exit(line.code)
