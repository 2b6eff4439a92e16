"""Deployments that tests of a server's credentials begin with."""

from __future__ import annotations

from pathlib import Path

from auror.deployment.certs import create_deployment
from auror.deployment.credentials import client_folder
from auror.params import RoundParams
from auror.programs.enrol import synthetic_terms
from auror.round.description import PROTOCOL_VERSION
from auror.round.policy import Policy
from auror.wire.v1 import transport_pb2 as pb

TERMS = synthetic_terms(7, RoundParams(group_size=2, colluders=0), 3)


def enrolled(folder: Path) -> tuple[Policy, bytes, pb.Hello]:
    """Three clients below ``folder``: their policy, and client 1's certificate and hello."""
    policy = create_deployment(folder / "certs", 3, ["localhost"], TERMS)
    pem = (client_folder(folder / "certs", 1) / "cert.pem").read_bytes()
    return (
        policy,
        pem,
        pb.Hello(protocol_version=PROTOCOL_VERSION, deployment=policy.name, client=1),
    )
