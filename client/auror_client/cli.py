"""``auror-client``: the command line builds a configuration and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

# gRPC's C core writes its own lines to standard error otherwise; must be set before it loads
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import click

from auror.deployment.allocator import few_arenas, seldom_search_for_cycles
from auror.deployment.checks import Checklist, settings_of
from auror.deployment.console import HELP, VERSION, OneLine, one_line, say_machine_error, with_flags
from auror.deployment.logs import configure
from auror.deployment.private_memory import keep_memory_private
from auror.deployment.settings import to_toml
from auror.entry import STOPPED
from auror.errors import UserError, exit_code_of
from auror_client.config import load_config
from auror_client.trainings import leave

_EPILOG = """\b
Exit codes:
  0  the session finished
  2  a setting cannot be used
  3  a certificate, key or policy is missing, does not fit, has expired, or is refused
  4  the data cannot be loaded
  5  the server cannot be reached
  6  stopped before the end, by a signal or by the server
  7  the session finished, or the server stopped, and no round that trained had this client (of
     many clients in one process: any of them) in its total; see the log for why
  8  the budget of this client's data is spent
  9  the session finished, and the final model that the policy promises did not come or was refused
 10  this client is excluded for good: flagged, or proven to have lied; the log says what to check
 11  the machine cannot go on: disk, memory, open files, or the device that trains
"""


@click.command("auror-client", cls=OneLine, epilog=_EPILOG, context_settings=HELP)
@VERSION
@click.option(
    "--config", "path", type=click.Path(path_type=Path), help="TOML file with the settings."
)
@click.option("--server", help="host:port of the server (client.server).")
@click.option("--credentials", help="Folder made by `auror certs` (client.credentials).")
@click.option("--state", help="Folder for what must survive restarts (client.state).")
@click.option(
    "--task",
    help="What is trained, where it is code of your own, as package.module:name (data.task).",
)
@click.option("--dataset", help="digits, mnist5k, mnist, gtsrb or another (data.dataset).")
@click.option("--data", help="Own samples: an npz or CSV file, or an image folder (data.path).")
@click.option("--label-column", help="Of a CSV file, by default the last (data.label_column).")
@click.option("--data-range", help="In which range own samples are, e.g. 0:1 (data.range).")
@click.option("--device", help="auto, cpu, cuda or cuda:N (client.device).")
@click.option("--clients", help='Many clients in one process, e.g. "0-14" (swarm.clients).')
@click.option("--stand", is_flag=True, help="Stay for the next training (client.stand).")
@click.option("--set", "flags", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting.")
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Load all that a start would load; say what is wrong and how to mend it.",
)
@click.option("--print-config", is_flag=True, help="Print the resolved settings as TOML.")
@click.option("--account", is_flag=True, help="Print what this client's data were used for.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default=None,
              help="Of --account and --check.  [default: text]")  # fmt: skip
def main(
    path: Path | None, flags: tuple[str, ...], only_check: bool, print_config: bool, account: bool,
    form: str | None, stand: bool,
    **common: str | None,
) -> None:  # fmt: skip
    """Take part in federated training without showing anybody the own update.

    Settings come from the TOML file, then AUROR_CLIENT__SECTION__KEY variables, then flags.
    """
    if only_check + print_config + account > 1:
        raise click.UsageError("--check, --print-config and --account exclude each other.")
    if form is not None and not (account or only_check):
        raise click.UsageError("--format has no effect without --account or --check: leave it out.")
    try:
        given = [*_flags(common), *flags]
        if stand:
            given.append("client.stand=true")
        checks = Checklist(_told, form or "text")
        config = settings_of(
            lambda: load_config(path, os.environ, given), checks if only_check else None
        )
        if print_config:
            click.echo(to_toml(config), nl=False)
            return
        # imported here: --help and --print-config need neither gRPC nor the data
        from auror_client import checking, swarm  # noqa: PLC0415
        from auror_client.account import as_text  # noqa: PLC0415
        from auror_client.driver import ClientEnding  # noqa: PLC0415

        configure(config.client.log, config.client.quiet)
        if not config.client.core_dumps:
            keep_memory_private()
        few_arenas()
        seldom_search_for_cycles()
        if only_check:
            checking.check(config, checks)
            leave(checks.finish())
        if account:
            found = swarm.accounts(config)
            lines = json.dumps([one.to_dict() for one in found])
            click.echo(lines if form == "json" else as_text(found))
            return
        ending = asyncio.run(swarm.run(config))
    except UserError as error:
        click.echo(f"auror-client: {_told(str(error))}", err=True)
        leave(exit_code_of(error))
    except (OSError, MemoryError) as error:
        leave(say_machine_error("auror-client", error))
    except KeyboardInterrupt:
        leave(STOPPED)
    if ending is not ClientEnding.FINISHED:
        stopped = (
            "stopped before the end of the training: start the same command again to take part"
        )
        click.echo(f"auror-client: {stopped}", err=True)
        leave(STOPPED)
    leave(0)


_OPTIONS = ("print_config",)
_COMMON = {
    "server": "client.server",
    "credentials": "client.credentials",
    "state": "client.state",
    "task": "data.task",
    "dataset": "data.dataset",
    "data": "data.path",
    "label_column": "data.label_column",
    "data_range": "data.range",
    "device": "client.device",
    "clients": "swarm.clients",
}


def _told(text: str) -> str:
    return with_flags(one_line(text), _OPTIONS)


def _flags(common: dict[str, str | None]) -> list[str]:
    """Quoted: a folder named 12 is not a number."""
    given = ((name, value) for name, value in common.items() if value is not None)
    return [f"{_COMMON[name]}={json.dumps(value)}" for name, value in given]


if __name__ == "__main__":
    main()
