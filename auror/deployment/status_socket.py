"""The socket in a run folder over which a server says where it stands (docs/adr/0024).

Whoever connects gets one JSON object and the end; nothing is read from them. The folder is its
user's only (0700), and so is the socket (0600).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

SOCKET = "status.sock"
LARGEST = 1 << 20
"""Bytes of an answer: lists of a deployment's clients and a few numbers."""
PATIENCE_S = 2.0
"""How long either end waits for the other."""
_LONGEST_NAME = 100
"""Bytes of a path that fit into a socket's address on every system."""


class Presence(Enum):
    """Of a server, on a run folder."""

    RUNNING = "running"
    SILENT = "running, but does not answer"
    ABSENT = "not running"


def ask(folder: Path) -> tuple[Presence, dict[str, Any] | None]:
    """Whether a server runs on ``folder``, and what it says when it does.

    Raises:
        PermissionError: another user's.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(PATIENCE_S)
            with short_name(folder) as path:
                line.connect(path)
            return answer_of(line)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return Presence.ABSENT, None  # a killed server leaves a socket on which nobody listens
    except PermissionError:
        raise
    except OSError:
        return Presence.SILENT, None


def answer_of(
    line: socket.socket, patience: float = PATIENCE_S
) -> tuple[Presence, dict[str, Any] | None]:
    """The JSON object that comes over ``line`` until its end."""
    raw, until = b"", time.monotonic() + patience
    while part := line.recv(1 << 16):
        raw += part
        if len(raw) > LARGEST or time.monotonic() > until:
            return Presence.SILENT, None
    try:
        said = json.loads(raw)
    except ValueError:  # it ended half-way
        return Presence.SILENT, None
    return (Presence.RUNNING, said) if isinstance(said, dict) else (Presence.SILENT, None)


@contextlib.contextmanager
def short_name(folder: Path, name: str = SOCKET) -> Iterator[str]:
    """The path of the socket ``name`` in ``folder``; of a long one, which no address holds, Linux's
    other name for it, while this lasts.

    Raises:
        OSError: there is no such folder.
    """
    whole = str(folder.absolute() / name)
    if len(os.fsencode(whole)) <= _LONGEST_NAME:
        yield whole
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
