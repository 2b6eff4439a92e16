"""``auror policy``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auror.cli.shared import EPILOG, one_line_errors
from auror.deployment.private_memory import keep_memory_private
from auror.params import SEED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
@one_line_errors
def following(
    folder: Path, without: str, days: int | None, release_model: bool | None,
    patience: int | None, training_patience: int | None,
    trainings: int | None, from_model: Path | None, seed: int | None, task: str | None,
) -> None:  # fmt: skip
    """Sign the next version in DIR, the folder that `auror certs` made.

    The others keep their numbers. Copy policy.json to the server and to every client, and start
    them again: a client that has seen a version takes no earlier one. Whom a training flagged the
    next one invites again, unless --without names it.
    """
    from auror.deployment.policy_versions import next_policy, operator_policy  # noqa: PLC0415
    from auror.errors import ConfigError  # noqa: PLC0415 - keeps --help quick
    from auror.ids import ClientId  # noqa: PLC0415

    keep_memory_private()
    words = [word.strip() for word in without.split(",") if word.strip()]
    if not all(word.isdecimal() for word in words):
        raise ConfigError(f'--without "{without}": write it like 3,7')
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
    gone = {ClientId(int(word)) for word in words}
    made = next_policy(folder, gone, days, release_model, further, params)
    models = ", and server/models," if further else ""
    click.echo(
        f"{folder}: version {made.version}, {len(made.members)} members, {made.eras} trainings;"
        f" copy server/policy.json{models} to the server and clients/NNN/policy.json to client NNN,"
        " and start them again"
    )
