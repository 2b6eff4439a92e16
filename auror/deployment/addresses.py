"""Hosts, ports and ranges of clients, checked before gRPC turns a mistake into a riddle."""

from __future__ import annotations

import ipaddress
import re

from auror.errors import ConfigError
from auror.ids import ClientId

PORT = 7443
"""Where servers listen unless told otherwise."""
MAX_CLIENTS = 10_000
"""Clients that a deployment can have; their numbers are below it."""
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_HOST = "a name such as server.example, or an address such as 192.0.2.7 or ::1"


def check_host(setting: str, host: str) -> None:
    """Whether a certificate can name ``host``: an IP address, or a DNS name in ASCII.

    Raises:
        ConfigError: naming ``setting``.
    """
    if problem := _host_problem(host):
        raise ConfigError(f'{setting} = "{host}": {problem}')


def check_address(setting: str, address: str) -> tuple[str, int]:
    """Split ``host:port`` (IPv6 hosts in brackets); a port is 1 … 65535.

    Raises:
        ConfigError: naming ``setting``.
    """
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ConfigError(f'{setting} = "{address}": write it as host:port, e.g. 127.0.0.1:7443')
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if (problem := _host_problem(bare)) is not None:
        raise ConfigError(f'{setting} = "{address}": {problem}')
    if (":" in bare) != (bare is not host):
        raise ConfigError(
            f'{setting} = "{address}": an IPv6 address, and nothing else, stands in brackets, e.g.'
            " [::1]:7443"
        )
    return bare, int(port)


def parse_ids(setting: str, text: str) -> tuple[ClientId, ...]:
    """``"0-3,8"`` → 0, 1, 2, 3, 8.

    Raises:
        ConfigError: naming ``setting``.
    """
    found: set[ClientId] = set()
    for piece in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", piece, re.ASCII)
        if match is None:
            raise ConfigError(f'{setting} = "{text}": write it like "0-14" or "0,3,8-9"')
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last:
            raise ConfigError(f'{setting} = "{text}": {piece} is empty, write {last}-{first}')
        if last >= MAX_CLIENTS:
            raise ConfigError(f'{setting} = "{text}": clients are numbered 0 … {MAX_CLIENTS - 1:,}')
        found.update(ClientId(i) for i in range(first, last + 1))
    return tuple(sorted(found))


def _host_problem(host: str) -> str | None:
    """What keeps ``host`` from being one, with the fix; None when it is one."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return "an address without a zone, please" if "%" in host else None
    if not host:
        return f"give {_HOST}"
    if "://" in host or "/" in host:
        return f"leave out the scheme and the path: give {_HOST}"
    if host.startswith("["):
        return "leave out the brackets"
    if not host.isascii():
        return f'write it as DNS does: "{_punycode(host)}"'
    name, colon, port = host.rpartition(":")
    if colon and port.isdecimal():
        return f'leave out the port: "{name}"'
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        return f"this is no host: give {_HOST}"
    if all(label.isdecimal() for label in labels):
        return "this is no IPv4 address: it has four numbers from 0 to 255"
    return None


def _punycode(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return "xn--…"
