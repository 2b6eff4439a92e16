"""A configuration file, checked by the program that it is of."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from auror.child import module_command
from auror.errors import ConfigError, UnavailableError
from auror.programs.processes import check_installed

SECTIONS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "auror_server": frozenset({"server", "session", "statistics", "learning"}),
        "auror_client": frozenset({"client", "data", "rules", "swarm", "record", "faults"}),
    }
)
"""Of each program's configuration; no section is of two."""


def program_of(file: Path) -> str:
    """The package of the program that ``file`` configures.

    Raises:
        ConfigError: it cannot be read, or is of none.
    """
    try:
        found = set(tomllib.loads(file.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error
    of = [program for program, sections in SECTIONS.items() if found & sections]
    if len(of) != 1:
        said = "of server and client at once" if of else "neither of a server nor of a client"
        raise ConfigError(
            f"{file} is {said}: a server.toml has sections such as [server] and [session], a"
            " client.toml such as [client] and [data]; `auror-server --print-config` and"
            " `auror-client --print-config` write one"
        )
    return of[0]


def check_file(file: Path, form: str) -> bool:
    """Let the program of ``file`` say what a start would lack, on standard output as ``form``
    (text, json). Returns whether it would lack nothing.

    Raises:
        ConfigError: nothing could be checked.
    """
    program = program_of(file)
    try:
        check_installed()
    except UnavailableError as error:
        raise ConfigError(str(error)) from error
    words = ["--config", str(file), "--check", "--format", form]
    done = subprocess.run(module_command(f"{program}.cli", *words), check=False)
    if done.returncode < 0:
        raise ConfigError(f"{program} ended by signal {-done.returncode} before it had checked all")
    return done.returncode == 0
