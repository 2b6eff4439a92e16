"""The round description and its hash T, to which every key, ciphertext and signature is bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auror.crypto.tags import Tag, number, tagged_hash
from auror.ids import ClientId, Digest, RoundId
from auror.round.watch import Watch

PROTOCOL_VERSION = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundDescription:
    """Everything the parties must agree on before a secret is drawn."""

    deployment: bytes
    policy: Digest
    policy_version: int
    round_id: RoundId
    attempt: int
    """How many earlier attempts there were at this step, 0 for the first."""
    era: int
    """0, 1, …: which training."""
    step: int
    """0, 1, …: a model of an era has one step for its name, and a step at most one total."""
    disputed: bool
    """After a failed check: only the least suspected half is invited."""
    parent: Digest
    """The model at the step before; zero at step 0."""
    model: Digest
    plan: Digest
    """Hash of the statistics plan without its challenge part."""
    cohort: tuple[ClientId, ...]
    """Invited clients, sorted."""
    watch: Watch = Watch.ALWAYS
    """Whether the label rows are opened for certain."""
    flagged: tuple[ClientId, ...] = ()
    """Members with a permanent flag, sorted; none of them is invited."""
    version: int = PROTOCOL_VERSION

    def transcript(self) -> Digest:
        """T (docs/protocol.md)."""
        return tagged_hash(
            Tag.ROUND,
            number(self.version),
            self.deployment,
            self.policy,
            number(self.policy_version),
            number(self.round_id.counter),
            self.round_id.nonce,
            number(self.attempt),
            number(self.era),
            number(self.step),
            number(int(self.disputed)),
            self.parent,
            self.model,
            self.plan,
            number(self.watch.value),
            number(len(self.flagged)),
            *(number(client) for client in self.flagged),
            *(number(client) for client in self.cohort),
        )


def model_digest(model: NDArray[np.float32]) -> Digest:
    """Hash of the flat float32 model, little-endian, (d,)."""
    return tagged_hash(Tag.MODEL, model_bytes(model))


def model_bytes(model: NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(model, dtype="<f4").tobytes()


def model_from(raw: bytes) -> NDArray[np.float32]:
    """Inverse of ``model_bytes``; ``raw``: whole words. Not to be written: clients of a process
    share it."""
    return np.frombuffer(raw, dtype="<f4").astype(np.float32, copy=False)
