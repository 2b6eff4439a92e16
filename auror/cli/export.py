"""``auror export``."""

from __future__ import annotations

from pathlib import Path

import click

from auror.cli.shared import EPILOG, one_line_errors

_PATH = click.Path(path_type=Path)


@click.command("export", epilog=EPILOG)
@click.argument("run", type=_PATH)
@click.option(
    "--format",
    "form",
    type=click.Choice(["safetensors", "torch"]),
    default="safetensors",
    show_default=True,
    help="torch: a state_dict, for torch.load(FILE, weights_only=True).",
)
@click.option("--out", type=_PATH, default=None,
              help="The file.  [default: exported.safetensors or exported.pt in RUN]")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite what is there.")
@one_line_errors
def command(run: Path, form: str, out: Path | None, force: bool) -> None:
    """Write the model of the run folder RUN with named tensors, and its card beside it.

    RUN is what simulate --out, demo or auror-server wrote; docs/export.md shows how to load it.
    """
    from auror.experiments.finished import read_finished  # noqa: PLC0415 - keeps --help quick
    from auror.report.export import Format, export  # noqa: PLC0415

    made = export(read_finished(run), Format(form), out, force)
    click.echo(f"{made.model}  (card: {made.page} and {made.card.name})")
