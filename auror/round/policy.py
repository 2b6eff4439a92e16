"""The deployment's rules, signed by the operator: who takes part, what is trained, what is opened.

Server and clients hold the same policy. A client takes its parameters from it, so a server can
neither invent nor loosen a rule; a client's own rules (``OwnRules``) can only be tighter.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

from auror.crypto.signing import VERIFY_KEY_BYTES, SigningKey, verify
from auror.crypto.tags import Tag, encode, number, tagged_hash
from auror.errors import ConfigError
from auror.ids import DIGEST_BYTES, ClientId, Digest
from auror.params import Budget, Floors, OwnRules, PlanCaps, RoundParams
from auror.round.arithmetic import check_round
from auror.secagg.topology import Topology

DEPLOYMENT_BYTES = 16
TASK_BYTES = 64 * 1024
NO_DIGEST = Digest(bytes(DIGEST_BYTES))
"""Stands where there is nothing before: the predecessor of a first policy, of a first model."""


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


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One version of a deployment's rules: the trust root of everybody in it."""

    deployment: bytes
    """16 random bytes, the same in all versions."""
    version: int
    """1, 2, …"""
    expires: int
    """Unix seconds, UTC: from then on clients take part no more."""
    predecessor: Digest
    """Of the version before; zero for the first."""
    members: Mapping[ClientId, RosterEntry]
    params: RoundParams
    caps: PlanCaps
    task: bytes
    """Canonical JSON for the trainers: model, loss, optimiser, local steps …; ≤ 64 KiB."""
    first_models: tuple[Digest, ...]
    """Model at step 0 of each era; an era is one training from a fresh model."""
    budget: Budget
    release_model: bool = True
    """Whether clients get the trained model when a training is over."""
    signature: bytes = b""

    def __post_init__(self) -> None:
        if len(self.deployment) != DEPLOYMENT_BYTES:
            raise ConfigError(f"policy: the deployment's id has {DEPLOYMENT_BYTES} bytes")
        if self.version < 1 or (self.version == 1) != (self.predecessor == NO_DIGEST):
            raise ConfigError(
                f"policy: version = {self.version}: versions are 1, 2, …, and all but the first"
                " name their predecessor"
            )
        if not 0 < self.expires < 2**63:
            raise ConfigError(f"policy: expires = {self.expires}: give Unix seconds, above 0")
        if any(client != entry.client for client, entry in self.members.items()):
            raise ConfigError("policy: a member is entered under another member's number")
        if not 0 < len(self.task) <= TASK_BYTES:
            raise ConfigError(f"policy: the task has {len(self.task)} bytes: 1 … {TASK_BYTES}")
        if not self.first_models or len(set(self.first_models)) < len(self.first_models):
            raise ConfigError(
                "policy: first_models: one for every era, each another: the difference of the"
                " first totals from one model would be a client's update"
            )
        n, c, g = len(self.members), self.params.colluders, self.params.group_size
        if g > n:
            raise ConfigError(f"group_size = {g}, but the policy has {n} member(s): choose 1 … {n}")
        if c + 2 > n:
            raise ConfigError(
                f"colluders = {c} of {n} members: two clients must be honest, so c + 2 ≤ n:"
                f" choose 0 … {max(0, n - 2)}, or enrol more clients"
            )
        check_round(self.params, n)

    @property
    def name(self) -> str:
        """The deployment's id in hexadecimal."""
        return self.deployment.hex()

    @property
    def id_bound(self) -> int:
        """One more than the largest member's number: excluded clients leave gaps."""
        return max(self.members) + 1

    @property
    def eras(self) -> int:
        """Trainings that the policy allows."""
        return len(self.first_models)

    def verify_key(self, client: ClientId) -> bytes:
        """Of a member. Raises KeyError for anybody else."""
        return self.members[client].verify_key

    # Signature ------------------------------------------------------------------------------------

    def signed_parts(self) -> tuple[bytes, ...]:
        """Canonical: equal policies have equal parts, and no two different ones do."""
        rows = (
            part
            for client in sorted(self.members)
            for part in (number(client), self.verify_key(client), self.members[client].certificate)
        )
        return (
            self.deployment,
            number(self.version),
            number(self.expires),
            self.predecessor,
            encode(*rows),
            encode(*_values(self.params)),
            encode(*_values(self.caps)),
            tagged_hash(Tag.TASK, self.task),
            encode(*self.first_models),
            encode(*_values(self.budget)),
            number(int(self.release_model)),
        )

    def digest(self) -> Digest:
        """Names this version, whoever signed it."""
        return self._digest

    @cached_property
    def _digest(self) -> Digest:  # every round asks for it, and it hashes all members
        return tagged_hash(Tag.POLICY, *self.signed_parts())

    def signed(self, operator: SigningKey) -> Policy:
        return replace(self, signature=operator.sign(Tag.POLICY, *self.signed_parts()))

    def verify(self, operator_key: bytes) -> None:
        """Raises AuthenticationFailed when the operator did not sign this policy."""
        verify(operator_key, self.signature, Tag.POLICY, *self.signed_parts())

    def successor(
        self,
        operator: SigningKey,
        without: Collection[ClientId],
        expires: int,
        release_model: bool | None = None,
        further: Sequence[Digest] = (),
        params: RoundParams | None = None,
    ) -> Policy:
        """The next version, signed: the same rules for everybody but ``without``.

        Args:
            release_model: None keeps what the version before says.
            further: hashes of the first models of trainings beside those that are signed; the
                budget grows with them.
            params: None keeps those of the version before.

        Raises:
            ConfigError: one of them is no member, or too few are left.
        """
        strangers = sorted(set(without) - self.members.keys())
        if strangers:
            raise ConfigError(
                f"client {strangers[0]} is no member of version {self.version}: its members are"
                f" numbered {min(self.members)} … {max(self.members)}"
            )
        members = {c: entry for c, entry in self.members.items() if c not in without}
        return replace(
            self,
            version=self.version + 1,
            predecessor=self.digest(),
            members=members,
            params=params or self.params,
            expires=expires,
            release_model=self.release_model if release_model is None else release_model,
            first_models=(*self.first_models, *further),
            budget=self.budget.extended(self.eras, len(further)),
        ).signed(operator)

    # Floors ---------------------------------------------------------------------------------------

    def fewest_present(self, disputed: bool) -> int:
        """Fewest clients in a cohort, and in U1, U2 and U3."""
        return self.params.fewest_present(len(self.members), disputed)

    def fewest_accepted(self, cohort: int) -> int:
        """Fewest clients in a total of a round with ``cohort`` clients."""
        return self.params.fewest_accepted(cohort, len(self.members))

    def floors(self, topology: Topology, disputed: bool, own: Floors | None = None) -> Floors:
        """Of one round: the strictest of the policy's, the thresholds' and a client's ``own``."""
        own = own or Floors()
        return Floors(
            max(self.fewest_present(disputed), topology.fewest, own.present),
            max(self.fewest_accepted(topology.cohort), own.accepted),
            max(self.params.group_size, own.group),
        )

    def check_rules(self, rules: OwnRules) -> None:
        """Raises ConfigError for a rule that is looser than this policy, so has no effect."""
        lowest = {
            "min_group": self.params.group_size,
            "min_present": self.fewest_present(False),
            "min_accepted": self.fewest_accepted(self.fewest_present(False)),
        }
        highest = {
            "max_statistics": self.caps.max_statistics,
            "max_openings": self.budget.max_openings,
        }
        for names, looser in ((lowest, int.__lt__), (highest, int.__gt__)):
            for name, signed in names.items():
                own = getattr(rules, name)
                if own is not None and looser(own, signed):
                    raise ConfigError(
                        f"rules.{name} = {own} has no effect: the operator's policy says {signed};"
                        " give a tighter value, or leave it out"
                    )


def _values(parameters: RoundParams | PlanCaps | Budget) -> Iterator[bytes]:
    for field in fields(parameters):
        value = getattr(parameters, field.name)
        yield field.name.encode()
        match value:
            case float():
                yield struct.pack("<d", value)
            case int():
                yield number(value)
            case tuple():
                yield encode(*(str(part).encode() for part in value))
            case _:
                raise TypeError(f"{field.name} has no canonical form")
