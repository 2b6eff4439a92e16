"""Hosts, ports and client ranges: refused where they are given, in one line with the fix."""

from __future__ import annotations

import pytest

from auror.deployment.addresses import check_address, check_host, parse_ids
from auror.errors import ConfigError

GOOD_HOSTS = [
    "localhost", "server.example", "server.example.", "my_server", "xn--mnchen-3ya.example", "a",
    "192.0.2.7", "::1", "2001:db8::1", "3com.example",
]  # fmt: skip
BAD_HOSTS = [
    ("", "give a name"),
    ("host:7443", 'leave out the port: "host"'),
    ("[::1]", "leave out the brackets"),
    ("[::1]:7443", "leave out the brackets"),
    ("https://host", "leave out the scheme"),
    ("host/path", "leave out the scheme"),
    ("münchen.example", 'write it as DNS does: "xn--mnchen-3ya.example"'),
    ("a b", "no host"),
    ("-a.example", "no host"),
    ("a..example", "no host"),
    (".", "no host"),
    ("*.example", "no host"),
    ("a" * 64 + ".example", "no host"),
    ("1.2.3", "no IPv4"),
    ("1.2.3.256", "no IPv4"),
    ("fe80::1%eth0", "without a zone"),
    ("\x00", "no host"),
]


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_names_and_addresses_are_hosts(host: str) -> None:
    check_host("server", host)
    written = f"[{host}]" if ":" in host else host
    assert check_address("listen", f"{written}:7443") == (host, 7443)


@pytest.mark.parametrize(("host", "says"), BAD_HOSTS)
def test_what_no_certificate_can_name_is_refused(host: str, says: str) -> None:
    with pytest.raises(ConfigError, match="server = ") as caught:
        check_host("server", host)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "", "host", ":7443", "host:", "host:x", "host:²", "host:0", "host:65536", "host:-1",
        "::1:7443", "[host]:7443", "https://host:7443", "münchen.example:7443", "a b:7443",
        "[::1", "[]:7443", "host:٣",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="listen = ") as caught:
        check_address("listen", address)
    assert "\n" not in str(caught.value)


def test_ids_are_read() -> None:
    assert parse_ids("x", "0-3, 8") == (0, 1, 2, 3, 8)
    assert parse_ids("x", "") == ()
    assert parse_ids("x", "9999") == (9999,)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a-3", "write it like"),
        ("3-", "write it like"),
        ("-3", "write it like"),
        ("1.5", "write it like"),
        ("²", "write it like"),
        ("٣", "write it like"),
        ("1--2", "write it like"),
        ("9-3", "write 3-9"),
        ("10000", "numbered 0 … 9,999"),
        ("0-999999999", "numbered 0 … 9,999"),
        ("0-99999999999999999999", "write it like"),
    ],
)
def test_what_is_no_range_of_clients_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match="x = ") as caught:
        parse_ids("x", text)
    assert says in str(caught.value)
