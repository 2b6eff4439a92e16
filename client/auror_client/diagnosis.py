"""Why connections to a server fail: looked at over the path that gRPC takes, said in one line."""

from __future__ import annotations

import asyncio
import base64
import datetime
import ipaddress
import os
import socket
import ssl
import time
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from auror.deployment.addresses import check_address
from auror.deployment.credential_files import KEY_FILE
from auror.deployment.credentials import (
    CA_FILE,
    CERTIFICATE_FILE,
    End,
    check_tls,
    load_tls,
)
from auror.errors import CredentialsError, UnavailableError, UserError

_SECONDS = 3.0
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
_EXCEPTIONS = ("no_grpc_proxy", "no_proxy")
_EXPIRED, _NOT_YET_VALID = 10, 9  # OpenSSL's X509_V_ERR_CERT_*
_NO_TLS = {"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}


async def diagnose(address: str, folder: Path) -> UserError | None:
    """What keeps connections to ``address`` with the files in ``folder`` from being made.

    Returns:
        A CredentialsError for what lasts until somebody mends it; an UnavailableError for what may
        pass; None when nothing is wrong but that nobody is there yet.
    """
    host, port = check_address("client.server", address)
    try:
        check_tls(folder, load_tls(folder), End.CLIENT, time.time())
    except UserError as error:
        return error
    named = proxy_of(host)
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(_SECONDS):
            if named is None:
                reader, writer = await asyncio.open_connection(host, port)
            else:
                reader, writer = await _tunnel(named, host, port)
            return await _shake_hands(address, folder, host, reader, writer)
    except UserError as error:
        return error
    except socket.gaierror as error:
        where = host if named is None else f"the proxy that {named} names"
        return UnavailableError(f"no address is known for {where} ({error.strerror})")
    except (OSError, TimeoutError):
        return None if named is None else _blocked(named, host, "does not answer")
    finally:
        if writer is not None:
            writer.close()


def proxy_of(host: str) -> str | None:
    """The variable that sends gRPC's connections to ``host`` through a proxy; None: they go
    straight. As gRPC decides: the first variable that is set, unless the host is an exception."""
    name = next((name for name in _PROXIES if name in os.environ), None)
    if name is None or not os.environ[name]:
        return None
    without = next((os.environ[each] for each in _EXCEPTIONS if each in os.environ), "")
    entries = filter(None, (entry.strip() for entry in without.split(",")))
    return None if any(_excepts(entry, host) for entry in entries) else name


def _excepts(entry: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return host.endswith(entry)


async def _tunnel(
    named: str, host: str, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Raises UnavailableError: the proxy that ``named`` names lets nobody through."""
    try:
        proxy = _parsed(named)
        name, at = proxy.hostname, proxy.port or 443
    except ValueError:  # half an IPv6 address, a port that is none
        name = None
    if not name:
        raise _blocked(named, host, "is no http://host:port")
    reader, writer = await asyncio.open_connection(name, at)
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    asked = f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n"
    if proxy.username is not None:
        user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        asked += f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}\r\n"
    writer.write(f"{asked}\r\n".encode())
    try:
        answer = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        answer = b""
    first = answer.split(b"\r\n")[0].decode("ascii", "replace")[:80]
    if first.split(" ")[1:2] != ["200"]:
        writer.close()
        raise _blocked(named, host, f"refuses ({first})" if first else "hangs up")
    return reader, writer


def _parsed(named: str) -> SplitResult:
    value = os.environ[named]
    return urlsplit(value if "://" in value else f"http://{value}")


def _blocked(named: str, host: str, what: str) -> UnavailableError:
    return UnavailableError(
        f"the variable {named} sends connections through a proxy that {what}: add {host} to"
        f" no_proxy, or unset {named}"
    )


async def _shake_hands(
    address: str,
    folder: Path,
    host: str,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> UserError | None:
    context = ssl.create_default_context(cafile=str(folder / CA_FILE))
    context.load_cert_chain(folder / CERTIFICATE_FILE, folder / KEY_FILE)
    context.set_alpn_protocols(["h2"])
    try:
        await writer.start_tls(context, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        return _untrusted(address, error)
    except ssl.SSLError as error:
        if error.reason not in _NO_TLS:
            return None
        return CredentialsError(
            f"what answers at {address} speaks no TLS: give the port of server.listen as"
            " client.server, not that of server.health or of another program"
        )
    try:
        # With TLS 1.3 a server judges the client's certificate after the client's handshake; one
        # that accepts it speaks first (HTTP/2 settings).
        accepted = bool(await reader.read(1))
    except (ssl.SSLError, ConnectionResetError):
        accepted = False
    if accepted:
        return None
    return CredentialsError(
        f"the server at {address} rejects this client's certificate: use the clients/NNN folder of"
        " the server's deployment, and check that the clocks of both machines are right"
    )


def _untrusted(address: str, error: ssl.SSLCertVerificationError) -> CredentialsError:
    if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
        now = datetime.datetime.now(datetime.UTC)
        return CredentialsError(
            f"{error.verify_message} at {address}, by this machine's clock ({now:%Y-%m-%d %H:%M}"
            " UTC): set the clock if it is wrong, else let the operator run `auror roster renew DIR"
            " server` and copy server/cert.pem to the server"
        )
    return CredentialsError(
        f"cannot trust the server at {address} ({error.verify_message}): use the ca.pem of its"
        " deployment and a host name or address that `auror certs --server` was given"
    )
