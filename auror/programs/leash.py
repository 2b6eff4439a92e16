"""``python -m auror.programs.leash PARENT MODULE …``: MODULE as a program that ends with PARENT.

For the programs of a load test, of a demo and of a cluster's workers: who is killed says goodbye
to nobody.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""prctl(2)."""


def main() -> None:
    """Be killed when the parent's thread that started this ends; elsewhere than on Linux, not."""
    parent, module, *words = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):  # it ended before that
            sys.exit(f"{module}: the process that started it is gone")
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
