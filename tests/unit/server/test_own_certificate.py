"""A certificate that is renewed beside a running server: the next handshake shows it."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from pathlib import Path

import grpc.aio
import pytest
from auror_server.app import showing
from auror_server.own_certificate import OwnCertificate
from auror_server.policy_watch import PolicyWatch
from cryptography import x509
from homes import TERMS
from structlog.testing import capture_logs

from auror.deployment.certs import create_deployment
from auror.deployment.credentials import client_folder, load_server, load_tls
from auror.deployment.membership import renew


def renewed(home: Path, days: int = 99) -> bytes:
    renew(home / "op", [], days, server_too=True)
    shutil.copy(home / "op" / "server" / "cert.pem", home / "server" / "cert.pem")
    return (home / "server" / "cert.pem").read_bytes()


async def shown(port: int, client: Path) -> bytes:
    """The certificate that a client is shown, DER."""
    context = ssl.create_default_context(cafile=str(client / "ca.pem"))
    context.load_cert_chain(client / "cert.pem", client / "key.pem")
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return found


def test_the_next_handshake_shows_the_renewed_one_and_strangers_stay_out(home: Path) -> None:
    def same(pem: bytes, der: bytes) -> bool:
        return x509.load_pem_x509_certificate(pem) == x509.load_der_x509_certificate(der)

    async def scene() -> None:
        own = OwnCertificate(home / "server", load_tls(home / "server"))
        server, client = grpc.aio.server(), client_folder(home / "op", 0)
        port = server.add_secure_port("127.0.0.1:0", showing(own))
        await server.start()
        try:
            before = own.tls.certificate
            assert same(before, await shown(port, client))
            after = renewed(home)
            assert after != before
            assert same(after, await shown(port, client))
            create_deployment(home / "other", 4, ["localhost"], TERMS)
            stranger = client_folder(home / "other", 0)
            shutil.copy(client / "ca.pem", stranger / "ca.pem")
            channel = grpc.aio.secure_channel(
                f"localhost:{port}",
                grpc.ssl_channel_credentials(*(
                    (stranger / name).read_bytes() for name in ("ca.pem", "key.pem", "cert.pem")
                )),
            )  # fmt: skip
            with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
                await channel.unary_unary("/x/y")(b"", timeout=20)
            await channel.close()
        finally:
            await server.stop(None)

    asyncio.run(scene())


def test_it_is_taken_once_and_said_with_its_date(home: Path) -> None:
    own = OwnCertificate(home / "server", load_tls(home / "server"))
    told: list[float] = []
    own.on_taken = told.append
    assert own.newer() is None
    after = renewed(home)
    with capture_logs() as logs:
        assert own.newer() is not None
        assert own.newer() is None
    assert [line["event"] for line in logs] == ["certificate taken"]
    assert own.tls.certificate == after
    until = x509.load_pem_x509_certificate(after).not_valid_after_utc
    assert told == [until.timestamp()]
    assert logs[0]["until"] == f"{until:%Y-%m-%d}"


def test_another_keys_and_half_a_one_are_said_once_and_change_nothing(home: Path) -> None:
    own = OwnCertificate(home / "server", load_tls(home / "server"))
    before, path = own.tls, home / "server" / "cert.pem"
    create_deployment(home / "other", 4, ["localhost"], TERMS)
    wrong = (
        before.certificate[:300],
        (home / "other" / "server" / "cert.pem").read_bytes(),
        (client_folder(home / "op", 0) / "cert.pem").read_bytes(),
    )
    for text in wrong:
        path.write_bytes(text)
        with capture_logs() as logs:
            assert own.newer() is None
            assert own.newer() is None
        assert [line["event"] for line in logs] == ["certificate not taken"]
        assert own.tls == before
    path.unlink()
    assert own.newer() is None
    path.write_bytes(before.certificate)
    assert own.newer() is None


def test_nobody_is_warned_of_a_certificate_that_was_renewed(home: Path) -> None:
    renewed(home, 5)
    watch = PolicyWatch(home / "server", load_server(home / "server"))
    renewed(home)
    with capture_logs() as logs:
        watch.check_dates()
    assert [line["event"] for line in logs] == ["certificate taken"]
