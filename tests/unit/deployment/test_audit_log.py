"""The keys that sign an audit, and those that do not."""

from __future__ import annotations

import pytest
from audit_kit import tls
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rounds_kit import Deployment

from auror.deployment.audit_log import AuditSigner
from auror.deployment.round_evidence import RoundEvidence, evidence_from_json, evidence_to_json
from auror.errors import CredentialsError


def test_a_key_of_another_kind_is_refused_in_one_line() -> None:
    key = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(CredentialsError, match="the audit is signed with ECDSA") as told:
        AuditSigner(key)
    assert "\n" not in str(told.value)


def test_a_signer_shows_no_key() -> None:

    assert repr(AuditSigner(tls().key)) == "AuditSigner(<redacted>)"


def test_every_part_of_a_plan_and_description_comes_back() -> None:
    house = Deployment(4)
    start = house.start()
    found = RoundEvidence(start.description, start.plan)
    back = evidence_from_json(evidence_to_json(found))
    assert back == found
    assert back.description.transcript() == start.description.transcript()
    assert back.plan.digest() == start.plan.digest()


@pytest.mark.parametrize("damage", ["description", "plan", "keys", "digests"])
def test_what_is_no_evidence_is_said_to_be_none(damage: str) -> None:
    start = Deployment(4).start()
    raw = evidence_to_json(RoundEvidence(start.description, start.plan))
    with pytest.raises(ValueError, match="not the evidence of a round"):
        evidence_from_json({**raw, damage: None})
