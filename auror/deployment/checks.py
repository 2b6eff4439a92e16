"""What ``--check`` and ``auror check`` print: one line per thing that a start needs, ✓ or ✗ with
the fix; or all of them as one JSON object.

A check is a function that raises ``UserError`` when a start would; nothing is written by it.
"""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from auror.deployment.addresses import check_address
from auror.deployment.console import one_line
from auror.errors import ConfigError, MachineError, UnavailableError, UserError, exit_code_of
from auror.files import looking

T = TypeVar("T")


class Checklist:
    """Runs checks one after the other and prints how each went, on standard output."""

    def __init__(self, told: Callable[[str], str] = one_line, form: str = "text") -> None:
        """``told``: how an error's text is shown, e.g. with flags instead of fields. ``form``:
        "text", a line as soon as it is known, or "json", all at the end."""
        self._told = told
        self._form = form
        self._good, self._bad, self._odd = _marks()
        self._lines: list[dict[str, Any]] = []
        self._warnings: list[str] = []
        self.exit_code = 0
        """Of the first thing that is wrong; 0 while nothing is."""

    def run(
        self, what: str, check: Callable[[], T], found: Callable[[T], str] | None = None
    ) -> T | None:
        """Print a line for ``check``, with what ``found`` says of its result.

        Returns:
            The result; None when it failed, so that what needs it is left out.
        """
        try:
            with looking():
                result = check()
        except UserError as error:
            self.exit_code = self.exit_code or exit_code_of(error)
            self._say(what, ok=False, said=self._told(str(error)))
            return None
        self._say(what, ok=True, said="" if found is None else found(result))
        return result

    def warn(self, text: str) -> None:
        """A start would work, and whoever asks for it should know ``text``."""
        said = self._told(text)
        self._warnings.append(said)
        if self._form == "text":
            click.echo(f"{self._odd} {said}")

    def finish(self) -> int:
        """All is checked. Returns the exit code."""
        if self._form == "json":
            said = {"ok": not self.exit_code, "code": self.exit_code, "checks": self._lines}
            click.echo(json.dumps({**said, "warnings": self._warnings}))
        return self.exit_code

    def _say(self, what: str, *, ok: bool, said: str) -> None:
        self._lines.append({"check": what, "ok": ok, "found" if ok else "fix": said})
        if self._form == "text":
            more = f": {said}" if said else ""
            click.echo(f"{self._good if ok else self._bad} {what}{more}")


def settings_of(load: Callable[[], T], checks: Checklist | None) -> T:
    """What ``load`` returns; with ``checks``, settings that cannot be used are one of them, and the
    end of the program."""
    if checks is None:
        return load()
    config = checks.run("settings", load)
    if config is None:
        sys.exit(checks.finish())
    return config


def check_writable(setting: str, folder: Path) -> Path:
    """``folder`` can be written, or made; nothing is left there.

    Raises:
        ConfigError: naming ``setting``.
    """
    whole = folder.absolute()
    missing = [path for path in (whole, *whole.parents) if not path.exists()]
    try:
        if missing:  # the uppermost is made and removed again
            missing[-1].mkdir()
            missing[-1].rmdir()
        else:
            probe = whole / f".{secrets.token_hex(8)}.new"
            probe.touch(mode=0o600)
            probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"{setting} = {folder}: cannot be written ({error.strerror}); choose another folder"
        ) from error
    return folder


def check_room(setting: str, folder: Path, needed: int) -> str:
    """The disk of ``folder``, which may not be there yet, has ``needed`` bytes to spare.

    Raises:
        MachineError: naming ``setting``.
    """
    whole = folder.absolute()
    there = next(path for path in (whole, *whole.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise MachineError(
            f"{setting} = {folder}: {in_bytes(needed)} are needed and {in_bytes(free)} are free"
            " there; make room, or choose a folder on another disk"
        )
    return f"{in_bytes(needed)} needed, {in_bytes(free)} free"


def in_bytes(size: float) -> str:
    """For people: 1.2 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def check_unused(setting: str, folder: Path) -> Path:
    """``folder`` can be written, and nothing is in it.

    Raises:
        ConfigError: naming ``setting``.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(
            f"{setting} = {folder} is not empty: choose a new folder, a run is never overwritten"
        )
    return check_writable(setting, folder)


def check_free(setting: str, address: str) -> str:
    """Somebody could listen on ``address``.

    Raises:
        ConfigError: it is none. UnavailableError: not here, or somebody does already.
    """
    host, port = check_address(setting, address)
    try:
        family, kind, protocol, _name, where = _resolve(host, port)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            probe.listen(1)
    except OSError as error:
        raise UnavailableError(
            f"{setting}: cannot listen on {address}, the port is in use or the address is not of"
            " this machine; choose another one"
        ) from error
    return address


def check_peer(setting: str, address: str) -> str:
    """The host of ``address`` has an address; whether somebody listens there now is said only, a
    start waits for it.

    Raises:
        ConfigError: it is no address. UnavailableError: nobody knows the host.
    """
    host, port = check_address(setting, address)
    try:
        found = _resolve(host, port)
    except OSError as error:
        raise UnavailableError(
            f'{setting} = "{address}": no address is known for {host} ({error.strerror}); check'
            " the name, or give the address"
        ) from error
    try:
        with socket.create_connection(found[0][4][:2], timeout=2.0):
            return f"{address} answers"
    except OSError:
        return f"{address}, where nobody listens now"


def _resolve(host: str, port: int) -> list[tuple[int, int, int, str, tuple[str, int]]]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # type: ignore[return-value]


def _marks() -> tuple[str, str, str]:
    try:
        "✓✗".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "ok  ", "FAIL", "note"
    return "✓", "✗", "!"
