"""Programs that a program of ours starts."""

from __future__ import annotations

import sys


def module_command(module: str, *words: str) -> list[str]:
    """``python -m MODULE WORDS``, which does not look for modules in the current folder: what lies
    there would replace what is installed. Whoever names modules of one's own there has them found
    last (``auror.registry``)."""
    return [sys.executable, "-P", "-m", module, *words]
