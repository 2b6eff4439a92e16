"""The ``auror`` command: a file per command, loaded when it is asked for.

Commands build configurations and print; flags, help texts and defaults come from the parameter
classes (``auror.cli.flags``), errors of the library become one line (``auror.cli.shared``).
"""

from __future__ import annotations

import importlib
import logging
import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's C core would write to stderr itself

import click

from auror.cli.shared import EPILOG
from auror.deployment.console import HELP, VERSION, Program

# who has no home folder needs no hint where matplotlib keeps its fonts meanwhile
logging.getLogger("matplotlib").setLevel(logging.ERROR)

COMMANDS = (
    "approve", "audit", "bench", "certs", "check", "clients", "defend-bench", "demo", "enrol",
    "evaluate", "exclude", "export", "loadtest", "log", "pause", "plan", "policy", "protocol",
    "reinstate", "replay", "report", "resume", "roster", "runs", "simulate", "start", "status",
    "stop", "sweep",
)  # fmt: skip
"""Each is the object ``command`` in the file of its name."""


class Commands(Program):
    """Loads a command's file when it is named, and all of them for the list."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"auror.cli.{name.replace('-', '_')}")
        command: click.Command = module.command
        return command


@click.group("auror", cls=Commands, epilog=EPILOG, context_settings=HELP)
@VERSION
def main() -> None:
    """Federated training that is private and robust at once, and shows the price of each."""
