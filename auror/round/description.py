"""The round description and its hash T, to which every key, ciphertext and signature is bound."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from auror.crypto.signing import VERIFY_KEY_BYTES, SigningKey, verify
from auror.crypto.tags import Tag, number, tagged_hash
from auror.ids import DIGEST_BYTES, ClientId, Digest, RoundId
from auror.params import RoundParams

PROTOCOL_VERSION = 1


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """One enrolled client: its protocol identity and the certificate it connects with."""

    client: ClientId
    verify_key: bytes
    certificate: Digest
    """SHA-256 of the DER of its TLS certificate."""

    def __post_init__(self) -> None:
        if len(self.verify_key) != VERIFY_KEY_BYTES or len(self.certificate) != DIGEST_BYTES:
            raise ValueError("a roster entry has a 32-byte key and a 32-byte fingerprint")


@dataclass(frozen=True)
class Roster:
    """Who may take part, signed by the operator: the trust root of a deployment."""

    deployment: str
    entries: Mapping[ClientId, RosterEntry]
    signature: bytes

    @classmethod
    def signed(
        cls, deployment: str, entries: Mapping[ClientId, RosterEntry], operator: SigningKey
    ) -> Roster:
        parts = _roster_parts(deployment, entries)
        return cls(deployment, dict(entries), operator.sign(Tag.ROSTER, *parts))

    def verify(self, operator_key: bytes) -> None:
        """Raises AuthenticationFailed when the operator did not sign this roster."""
        verify(
            operator_key, self.signature, Tag.ROSTER, *_roster_parts(self.deployment, self.entries)
        )

    def digest(self) -> Digest:
        return tagged_hash(Tag.ROSTER, *_roster_parts(self.deployment, self.entries))

    def verify_key(self, client: ClientId) -> bytes:
        return self.entries[client].verify_key


def _roster_parts(deployment: str, entries: Mapping[ClientId, RosterEntry]) -> tuple[bytes, ...]:
    rows = (
        part
        for client in sorted(entries)
        for part in (number(client), entries[client].verify_key, entries[client].certificate)
    )
    return (deployment.encode(), *rows)


@dataclass(frozen=True, slots=True)
class RoundDescription:
    """Everything the parties must agree on before a secret is drawn."""

    round_id: RoundId
    attempt: int
    """How many earlier rounds used this same model, 0 for the first."""
    deployment: str
    model: Digest
    configuration: Digest
    plan: Digest
    """Hash of the statistics plan without its challenge part."""
    roster: Digest
    cohort: tuple[ClientId, ...]
    """Invited clients, sorted."""
    version: int = PROTOCOL_VERSION

    def transcript(self) -> Digest:
        """T (DESIGN §3)."""
        return tagged_hash(
            Tag.ROUND,
            number(self.version),
            self.deployment.encode(),
            number(self.round_id.counter),
            self.round_id.nonce,
            number(self.attempt),
            self.model,
            self.configuration,
            self.plan,
            self.roster,
            *(number(client) for client in self.cohort),
        )


def model_digest(model: NDArray[np.float32]) -> Digest:
    """Hash of the flat float32 model, little-endian, (d,)."""
    return tagged_hash(Tag.MODEL, model_bytes(model))


def model_bytes(model: NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(model, dtype="<f4").tobytes()


def configuration_digest(params: RoundParams, task: bytes) -> Digest:
    """Hash of the round parameters and of the training task (canonical JSON)."""
    encoded = []
    for field in fields(params):
        value = getattr(params, field.name)
        packed = struct.pack("<d", value) if isinstance(value, float) else number(value)
        encoded += [field.name.encode(), packed]
    return tagged_hash(Tag.PARAMETERS, *encoded, task)
