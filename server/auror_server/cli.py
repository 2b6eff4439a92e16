"""``auror-server``: the command line builds a configuration and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
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
from auror.errors import ConfigError, UserError, exit_code_of
from auror_server.config import load_config

_EPILOG = """\b
Exit codes:
  0  the training finished: as many rounds as were asked for ended with a total; with --runs,
     stopped by a signal between two trainings
  2  a setting cannot be used
  3  a certificate, key or policy is missing, does not fit or has expired
  4  a data set cannot be loaded
  5  a port is in use, too few clients came, or too few members are left to go on
  6  stopped by SIGTERM or SIGINT before the end; start again to resume
  7  too many rounds ended without a total: see the log for why; start again to go on
 11  the machine cannot go on: disk, memory or open files; start again to resume
"""


@click.command("auror-server", cls=OneLine, epilog=_EPILOG, context_settings=HELP)
@VERSION
@click.option(
    "--config", "path", type=click.Path(path_type=Path), help="TOML file with the settings."
)
@click.option("--listen", help="host:port for clients (server.listen).")
@click.option("--health", help='host:port of the health service, "" = off (server.health).')
@click.option("--metrics", help='host:port for Prometheus, "" = off (server.metrics).')
@click.option("--credentials", help="Folder made by `auror certs` (server.credentials).")
@click.option("--run-dir", help="Run folder; an unfinished run is resumed (server.run_dir).")
@click.option("--runs", help="Stand, for the trainings of `auror start`, in this folder.")
@click.option(
    "--rounds",
    help="Rounds of one training (session.rounds); +N extends a finished run (session.add_rounds).",
)
@click.option(
    "--from",
    "from_model",
    help="Model to begin from, as far as the policy signs it (server.from_model).",
)
@click.option("--min-clients", help="Clients to wait for, 0 = all (session.min_clients).")
@click.option(
    "--task",
    help="What is trained, where it is code of your own, as package.module:name (learning.task).",
)
@click.option("--dataset", help="digits, mnist5k, mnist, gtsrb or another (learning.dataset).")
@click.option("--data", help="Own samples: file, image folder or parts (learning.data).")
@click.option("--label-column", help="Of a CSV file, by default the last (learning.label_column).")
@click.option("--data-range", help="In which range own samples are, e.g. 0:1 (learning.range).")
@click.option("--set", "flags", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting.")
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Load all that a start would load; say what is wrong and how to mend it.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default=None,
              help="Of --check.  [default: text]")  # fmt: skip
@click.option("--print-config", is_flag=True, help="Print the resolved settings as TOML.")
def main(
    path: Path | None,
    flags: tuple[str, ...],
    only_check: bool,
    print_config: bool,
    form: str | None,
    **common: str | None,
) -> None:
    """Coordinate federated training: private aggregation and the search for poisoners.

    Settings come from the TOML file, then AUROR_SERVER__SECTION__KEY variables, then flags.
    """
    if only_check and print_config:
        raise click.UsageError("--check and --print-config exclude each other.")
    if form is not None and not only_check:
        raise click.UsageError("--format has no effect without --check: leave it out.")
    try:
        checks = Checklist(_told, form or "text")
        given = [*_flags(common), *flags]
        config = settings_of(
            lambda: load_config(path, os.environ, given), checks if only_check else None
        )
        if print_config:
            click.echo(to_toml(config), nl=False)
            return
        # imported here: --help and --print-config need neither gRPC nor the model
        from auror_server import app, checking, trainings  # noqa: PLC0415
        from auror_server.standing import SessionEnding  # noqa: PLC0415

        configure(config.server.log, verbose=config.server.verbose)
        if not config.server.core_dumps:
            keep_memory_private()
        few_arenas()
        seldom_search_for_cycles()
        if only_check:
            checking.check(config, checks)
            sys.exit(checks.finish())
        ending = asyncio.run((trainings.stand if config.server.runs else app.serve)(config))
    except UserError as error:
        click.echo(f"auror-server: {_told(str(error))}", err=True)
        sys.exit(exit_code_of(error))
    except (OSError, MemoryError) as error:
        sys.exit(say_machine_error("auror-server", error))
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    if ending is not SessionEnding.FINISHED:
        stopped = "stopped before the end of the training: start the same command again to go on"
        click.echo(f"auror-server: {stopped}", err=True)
        sys.exit(STOPPED)


_OPTIONS = ("print_config",)
_COMMON = {
    "listen": "server.listen",
    "health": "server.health",
    "metrics": "server.metrics",
    "credentials": "server.credentials",
    "run_dir": "server.run_dir",
    "runs": "server.runs",
    "rounds": "session.rounds",
    "from_model": "server.from_model",
    "min_clients": "session.min_clients",
    "task": "learning.task",
    "dataset": "learning.dataset",
    "data": "learning.data",
    "label_column": "learning.label_column",
    "data_range": "learning.range",
}
_NUMBERS = ("rounds", "min_clients")


def _told(text: str) -> str:
    return with_flags(one_line(text), _OPTIONS)


def _flags(common: dict[str, str | None]) -> list[str]:
    """Numbers as they are, text quoted: a folder named 12 is not a number."""
    given = {name: value for name, value in common.items() if value is not None}
    keys = dict(_COMMON)
    if given.get("rounds", "").startswith("+"):
        if re.fullmatch(r"\+\s*0+\s*", given["rounds"]):  # 0 would stand for no extension
            raise ConfigError(f"--rounds {given['rounds']}: extend a finished run by +1 or more")
        keys["rounds"], given["rounds"] = "session.add_rounds", given["rounds"][1:]
    return [
        f"{keys[name]}={value if name in _NUMBERS else json.dumps(value)}"
        for name, value in given.items()
    ]


if __name__ == "__main__":
    main()
