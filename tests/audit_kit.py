"""What a server needs to sign its audit, for servers that a test plays."""

from __future__ import annotations

from functools import cache

from auror_server.state.audit import AuditedSettings
from auror_server.state.run import RunState
from rounds_kit import Deployment

from auror.deployment import issuing
from auror.deployment.audit_log import AuditSigner
from auror.deployment.credentials import TlsFiles, operator_pem
from auror.training.state import CampaignState


@cache
def tls() -> TlsFiles:
    """One server's, for all tests of a process."""
    ca = issuing.issue_ca("test")
    server = issuing.issue_server(ca, ["localhost"], 30)
    return TlsFiles(ca.certificate_pem, server.certificate_pem, server.key_pem)


def audited(
    run: RunState, house: Deployment, state: CampaignState, detector: str = "test:scripted"
) -> None:
    """Let ``run`` keep an audit from here on."""
    begun = AuditedSettings(
        policy=house.policy,
        tls=tls(),
        operator=operator_pem(house.operator.verify_key),
        settings="test",
        detector=detector,
        error_rate=0.01,
        defend=True,
    )
    run.audit(AuditSigner(tls().key), begun, state)
