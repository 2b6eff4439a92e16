"""host:port, checked before gRPC turns a mistake into a riddle."""

from __future__ import annotations

from auror.errors import ConfigError


def check_address(setting: str, address: str) -> tuple[str, int]:
    """Split ``host:port`` (IPv6 hosts in brackets).

    Raises:
        ConfigError: naming ``setting``.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 <= int(port) < 65536:
        raise ConfigError(f'{setting} = "{address}": write it as host:port, e.g. 127.0.0.1:7443')
    return host.removeprefix("[").removesuffix("]"), int(port)
