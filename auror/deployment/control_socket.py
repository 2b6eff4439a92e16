"""The socket over which a server is told what to do: one that stands, to train (docs/adr/0027);
one that trains, to pause or end, or whom to exclude (docs/adr/0032).

One line of JSON each way. The folder is its user's only (0700), and so is the socket (0600): who
can connect could as well start ``auror-server`` itself.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from auror.deployment.status_socket import PATIENCE_S, Presence, answer_of, short_name
from auror.errors import ConfigError, UnavailableError, UserError
from auror.files import replace_file

CONTROL = "control.sock"
LONGEST = 1 << 14
"""Bytes of a request."""
ANSWER_S = 60.0
"""How long a server may take to load what a training needs."""
ASKED = "asked.json"
"""File in a run folder of a standing server: what was asked for, durable before it is granted."""
ENDED = "ended.json"
"""How that training ended, with the exit code that a server of its own would have had."""
NUMBERED = re.compile(r"\d{4,6}")
"""Names of the run folders."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A training that somebody asks for; None: as the server's own configuration says."""

    rounds: int | None = None
    after_flag: str | None = None
    min_clients: int | None = None
    from_model: str | None = None
    resume: str | None = None
    """Number of a run that ended before its training did: go on with that instead."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without what is None."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, raw: Any) -> Asked:
        """Raises ConfigError: it is no such request."""
        kinds = {field.name: int if field.type == "int | None" else str for field in fields(cls)}
        if not isinstance(raw, dict) or not raw.keys() <= kinds.keys():
            raise ConfigError("no request that this version knows: use its own `auror start`")
        for name, value in raw.items():
            if type(value) is not kinds[name]:
                raise ConfigError(f"{name} = {value!r} is no {kinds[name].__name__}")
        return cls(**raw)

    def keep(self, run: Path) -> None:
        """Durable in the run folder ``run``. Raises OSError."""
        replace_file(run / ASKED, json.dumps(self.to_dict()).encode(), 0o600)


def asked_of(run: Path) -> Asked | None:
    """What the training in ``run`` was asked for with; None: it is no such folder."""
    try:
        return Asked.from_dict(json.loads((run / ASKED).read_text(encoding="utf-8")))
    except (OSError, ValueError, ConfigError):
        return None


def ended_of(run: Path) -> dict[str, Any] | None:
    """How it ended: ``code`` and ``why``; None: it did not."""
    try:
        found = json.loads((run / ENDED).read_text(encoding="utf-8"))
        return {"code": int(found["code"]), "why": str(found["why"])}
    except (OSError, ValueError, TypeError, KeyError):
        return None


def numbered(folder: Path) -> list[Path]:
    """The run folders in ``folder``, oldest first."""
    found = [path for path in folder.iterdir() if NUMBERED.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=lambda path: int(path.name))


def request(folder: Path, what: Mapping[str, Any], nobody: str = "") -> dict[str, Any]:
    """Ask the server whose socket is in ``folder``, and return what it says.

    ``nobody``: what to say when none listens.

    Raises:
        UnavailableError: none does, it does not answer, or it is another user's.
    """
    nobody = nobody or (
        f"no server stands on {folder}: start one with `auror-server --runs {folder}` on this"
        " machine, as this user"
    )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(PATIENCE_S)
            with short_name(folder, CONTROL) as path:
                line.connect(path)
            line.sendall(json.dumps(what).encode() + b"\n")
            line.settimeout(ANSWER_S)
            presence, said = answer_of(line, ANSWER_S)
    except TimeoutError as error:
        raise UnavailableError(f"the server on {folder} does not answer: see its log") from error
    except OSError as error:
        raise UnavailableError(nobody) from error
    if presence is not Presence.RUNNING or said is None:
        raise UnavailableError(f"the server on {folder} does not answer: see its log")
    return said


def granted(folder: Path, what: Mapping[str, Any], nobody: str = "") -> dict[str, Any]:
    """As ``request``.

    Raises:
        UserError: the server refuses, with its words and exit code.
    """
    said = request(folder, what, nobody)
    if "error" in said:
        refused = UserError(str(said["error"]))
        refused.exit_code = int(said["code"])
        raise refused
    return said
