"""What the installed commands run: their modules take a second to load, and Ctrl-C is heard."""

from __future__ import annotations

import importlib
import sys

INTERRUPTED, STOPPED = 130, 6
"""Exit codes of a command and of a program that were interrupted."""


def auror() -> None:
    """``auror``."""
    _run("auror.cli", INTERRUPTED)


def server() -> None:
    """``auror-server``."""
    _run("auror_server.cli", STOPPED)


def client() -> None:
    """``auror-client``."""
    _run("auror_client.cli", STOPPED)


def _run(module: str, interrupted: int) -> None:
    try:
        main = importlib.import_module(module).main
    except KeyboardInterrupt:
        sys.exit(interrupted)
    main()
