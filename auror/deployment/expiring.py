"""What runs out soon, in one line each with the fix."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509

from auror.deployment.credentials import CA_FILE, CERTIFICATE_FILE, TlsFiles
from auror.deployment.policy_file import POLICY_FILE
from auror.round.policy import Policy

WARN_DAYS = 14
"""Before an expiry: time for an operator to renew and for sites to copy."""
SAY_EVERY_S = 86_400.0
"""A day."""
_FIX = {
    CERTIFICATE_FILE: "let the operator run `auror roster renew` and send what it makes",
    CA_FILE: "let the operator make a new deployment with `auror certs`",
    POLICY_FILE: "let the operator run `auror policy next DIR --days 365`",
}


def expiring(folder: Path, tls: TlsFiles, policy: Policy, now: float) -> list[str]:
    """Lines about what of ``folder`` has expired at ``now`` (Unix seconds), or does so within
    ``WARN_DAYS``."""
    certificates = {CERTIFICATE_FILE: tls.certificate, CA_FILE: tls.ca}
    ends = {
        name: x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
        for name, pem in certificates.items()
    }
    ends[POLICY_FILE] = float(policy.expires)
    return [
        f"{folder / name} {_when(end, now)}: {_FIX[name]}"
        for name, end in ends.items()
        if end - now <= WARN_DAYS * SAY_EVERY_S
    ]


def validity(
    folder: Path, tls: TlsFiles, policy: Policy, expires: datetime.datetime, now: float
) -> str:
    """Until when certificates serve, and the fix of what runs out soon."""
    return "; ".join([f"valid until {expires:%Y-%m-%d}", *expiring(folder, tls, policy, now)])


def _when(end: float, now: float) -> str:
    date = f"{datetime.datetime.fromtimestamp(end, datetime.UTC):%Y-%m-%d %H:%M} UTC"
    if end <= now:
        return f"expired on {date}"
    days = int((end - now) // SAY_EVERY_S)
    return f"expires in {days} day{'' if days == 1 else 's'}, on {date}"
