"""``auror policy``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auror.cli.shared import EPILOG, FORMAT, one_line_errors
from auror.deployment.console import CommandGroup
from auror.deployment.private_memory import keep_memory_private
from auror.params import SEED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@click.group("policy", cls=CommandGroup)
def command() -> None:
    """Versions of a deployment's signed policy."""


@command.command("next", epilog=EPILOG)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--days", type=int, default=None,
              help="Days until it expires.  [default: the date of the version before]")  # fmt: skip
@click.option("--release-model/--no-release-model", "release_model", default=None,
              help="Whether clients get the model.  [default: as the version before]")  # fmt: skip
@click.option("--patience", type=click.IntRange(1), default=None, metavar="SECONDS",
              help="Of a phase that enough have answered.  [default: as before]")  # fmt: skip
@click.option("--training-patience", type=click.IntRange(1), default=None, metavar="SECONDS",
              help="The same of the upload, training included.  [default: as before]")  # fmt: skip
@click.option("--trainings", type=click.IntRange(1), default=None, metavar="N",
              help="Allow N more; everybody's budget grows.  [default: none]")  # fmt: skip
@click.option("--from-model", type=click.Path(path_type=Path), default=None,
              help="Model file that the first begins from.  [default: a fresh one]")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=None,
              help=f"Of their fresh models.  [default: {SEED}]")  # fmt: skip
@click.option("--task", default=None, metavar="MODULE:NAME",
              help="Where the task is code of your own.  [default: one of ours]")  # fmt: skip
@FORMAT
@one_line_errors
def following(
    folder: Path, days: int | None, release_model: bool | None,
    patience: int | None, training_patience: int | None,
    trainings: int | None, from_model: Path | None, seed: int | None, task: str | None,
    form: str,
) -> None:  # fmt: skip
    """Sign the next version in DIR, the operator's folder, for the same members.

    A client that has held a version takes no earlier one. Members come and go by `auror roster`.
    """
    from auror.deployment.policy_versions import next_policy, operator_policy  # noqa: PLC0415
    from auror.errors import ConfigError  # noqa: PLC0415 - keeps --help quick

    keep_memory_private()
    for name, value in (("from-model", from_model), ("seed", seed), ("task", task)):
        if trainings is None and value is not None:
            raise ConfigError(f"--{name} {value} has no effect without --trainings: leave it out")
    further: tuple[NDArray[np.float32], ...] = ()
    if trainings is not None:
        from auror.programs.enrol import further_models  # noqa: PLC0415

        further = further_models(
            operator_policy(folder),
            trainings,
            SEED if seed is None else seed,
            task or "",
            from_model,
        )
    before = operator_policy(folder).params
    params = replace(
        before,
        patience=patience or before.patience,
        training_patience=training_patience or before.training_patience,
    )
    made = next_policy(folder, days, release_model, further, params)
    if form == "json":
        click.echo(json.dumps({
            "deployment": made.name, "version": made.version, "trainings": made.eras,
            "members": sorted(map(int, made.members)), "expires": made.expires,
        }))  # fmt: skip
        return
    models = ", and server/models," if further else ""
    click.echo(
        f"{folder}: version {made.version}, {len(made.members)} members, {made.eras} trainings;"
        f" copy server/policy.json{models} to the server: it hands the version on to connected"
        " clients"
    )
