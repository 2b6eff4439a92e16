"""Memory that holds keys, masks and updates stays in the process: no core dump, no debugger."""

from __future__ import annotations

import contextlib
import ctypes
import resource

from auror.deployment.logs import logger

_PR_SET_DUMPABLE = 4
_log = logger("process")


def keep_memory_private() -> bool:
    """Let nothing write this process's memory to disk or read it, but root.

    A core limit of 0 alone does not stop a system that pipes cores to a program (core(5)); not
    being dumpable does, and keeps other processes of the same user from attaching (ptrace(2)).

    Returns:
        Whether both were done. Where the system knows no prctl, cores are off all the same and a
        line of the log says what is missing.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    done = _not_dumpable() and resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
    if not done:
        _log.warning(
            "this system does not let a program keep debuggers of its own user away from its"
            " memory: run it as a user of its own"
        )
    return done


def _not_dumpable() -> bool:
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (AttributeError, OSError):  # not Linux
        return False
    arguments = (ctypes.c_ulong(value) for value in (0, 0, 0, 0))
    return int(prctl(_PR_SET_DUMPABLE, *arguments)) == 0
