"""``auror-client``: the command line builds a configuration and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

# gRPC's C core writes its own lines to standard error otherwise; must be set before it loads
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import click

from auror.errors import UserError
from auror.wire.logs import configure
from auror.wire.settings import to_toml
from auror_client.config import load_config

STOPPED = 6
_EPILOG = """\b
Exit codes:
  0  the session finished
  2  a setting cannot be used
  3  a certificate, key or roster is missing, does not fit, or is refused
  4  the data cannot be loaded
  5  the server cannot be reached
  6  stopped before the end, by a signal or by the server
"""


@click.command(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config", "path", type=click.Path(path_type=Path), help="TOML file with the settings."
)
@click.option("--server", help="host:port of the server (client.server).")
@click.option("--credentials", help="Folder made by `auror certs` (client.credentials).")
@click.option("--state", help="Folder for what must survive restarts (client.state).")
@click.option("--dataset", help="digits, mnist5k, mnist, npz or synthetic (data.dataset).")
@click.option("--npz", help="File with own samples (data.npz).")
@click.option("--device", help="auto, cpu, cuda or cuda:N (client.device).")
@click.option("--clients", help='Many clients in one process, e.g. "0-14" (swarm.clients).')
@click.option("--set", "flags", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting.")
@click.option("--print-config", is_flag=True, help="Print the resolved settings as TOML.")
def main(
    path: Path | None, flags: tuple[str, ...], print_config: bool, **common: str | None
) -> None:
    """Take part in federated training without showing anybody the own update.

    Settings come from the TOML file, then AUROR_CLIENT__SECTION__KEY variables, then flags.
    """
    try:
        config = load_config(path, os.environ, [*_flags(common), *flags])
        if print_config:
            click.echo(to_toml(config), nl=False)
            return
        # imported here: --help and --print-config need neither gRPC nor the data
        from auror_client import swarm  # noqa: PLC0415
        from auror_client.driver import Ending  # noqa: PLC0415

        configure(config.client.log, config.client.quiet)
        ending = asyncio.run(swarm.run(config))
    except UserError as error:
        click.echo(f"auror-client: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    if ending is not Ending.FINISHED:
        sys.exit(STOPPED)


_COMMON = {
    "server": "client.server",
    "credentials": "client.credentials",
    "state": "client.state",
    "dataset": "data.dataset",
    "npz": "data.npz",
    "device": "client.device",
    "clients": "swarm.clients",
}


def _flags(common: dict[str, str | None]) -> list[str]:
    """Quoted: a folder named 12 is not a number."""
    given = ((name, value) for name, value in common.items() if value is not None)
    return [f"{_COMMON[name]}={json.dumps(value)}" for name, value in given]


if __name__ == "__main__":
    main()
