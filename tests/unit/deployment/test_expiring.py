"""What runs out is warned of 14 days ahead, and named once it has run out."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from audit_kit import tls
from cryptography import x509
from rounds_kit import Deployment

from auror.deployment.expiring import expiring

FOLDER = Path("keys")
POLICY = Deployment(7).policy
UNTIL = x509.load_pem_x509_certificate(tls().certificate).not_valid_after_utc.timestamp()
DAY = 86_400


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (15 * DAY, None),
        (14 * DAY, "keys/cert.pem expires in 14 days, on 20"),
        (1.5 * DAY, "keys/cert.pem expires in 1 day, on 20"),
        (10, "keys/cert.pem expires in 0 days, on 20"),
        (-10, "keys/cert.pem expired on 20"),
    ],
)
def test_certificates(before: float, said: str | None) -> None:
    lines = expiring(FOLDER, tls(), POLICY, UNTIL - before)
    assert len(lines) == (said is not None)
    if said is not None:
        assert lines[0].startswith(said)
        assert "`auror roster renew` and send what it makes" in lines[0]


def test_policy_and_ca() -> None:
    policy = Deployment(7).policy.successor(Deployment(7).operator, expires=int(UNTIL) - 20 * DAY)
    (line,) = expiring(FOLDER, tls(), policy, UNTIL - 30 * DAY)
    day = datetime.datetime.fromtimestamp(policy.expires, datetime.UTC)
    assert line == (
        f"keys/policy.json expires in 10 days, on {day:%Y-%m-%d %H:%M} UTC: let the operator run"
        " `auror policy next DIR --days 365`"
    )
    late = expiring(FOLDER, tls(), policy, UNTIL + 20 * 365 * DAY)
    assert [line.split()[0] for line in late] == [
        "keys/cert.pem", "keys/ca.pem", "keys/policy.json",
    ]  # fmt: skip
