"""The deployment's rules, signed by the operator: who takes part, what is trained, what is opened.

Server and clients hold the same policy. A client takes its parameters from it, so a server can
neither invent nor loosen a rule; a client's own rules (``OwnRules``) can only be tighter.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from types import MappingProxyType

from auror.crypto.signing import SigningKey, verify
from auror.crypto.tags import Tag, encode, number, tagged_hash
from auror.errors import ConfigError
from auror.ids import DIGEST_BYTES, ClientId, Digest
from auror.params import Budget, Floors, OwnRules, PlanCaps, RoundParams
from auror.round.arithmetic import check_round
from auror.round.roster import Keys, Roster, RosterEntry
from auror.secagg.topology import Topology

DEPLOYMENT_BYTES = 16
TASK_BYTES = 64 * 1024
NO_DIGEST = Digest(bytes(DIGEST_BYTES))
"""Stands where there is nothing before: the parent of a first model."""
MOST_VERSIONS = 100_000
"""Every one is named in the next: 32 bytes each."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One version of a deployment's rules: the trust root of everybody in it."""

    deployment: bytes
    """16 random bytes, the same in all versions."""
    version: int
    """1, 2, …"""
    expires: int
    """Unix seconds, UTC: from then on clients take part no more."""
    predecessors: tuple[Digest, ...]
    """Of all versions before, oldest first: whoever holds one of them can tell that this follows,
    however many it has missed."""
    members: Mapping[ClientId, RosterEntry]
    former: Mapping[ClientId, RosterEntry] = field(default_factory=lambda: MappingProxyType({}))
    """Who left: no number is ever another's."""
    params: RoundParams
    caps: PlanCaps
    task: bytes
    """Canonical JSON for the trainers: model, loss, optimiser, local steps …; ≤ 64 KiB."""
    first_models: tuple[Digest, ...]
    """Model at step 0 of each era; an era is one training from a fresh model."""
    budget: Budget
    clean_samples: Digest = NO_DIGEST
    """SHA-256 of the samples that label rows read along, the same in all versions; ``NO_DIGEST``:
    there are none, and they read along the model's output weights."""
    release_model: bool = True
    """Whether clients get the trained model when a training is over."""
    signature: bytes = b""

    def __post_init__(self) -> None:
        if len(self.deployment) != DEPLOYMENT_BYTES:
            raise ConfigError(f"policy: the deployment's id has {DEPLOYMENT_BYTES} bytes")
        if not 1 <= self.version <= MOST_VERSIONS or self.version != len(self.predecessors) + 1:
            raise ConfigError(
                f"policy: version = {self.version}: versions are 1 … {MOST_VERSIONS}, and each"
                " names all before it"
            )
        if not 0 < self.expires < 2**63:
            raise ConfigError(f"policy: expires = {self.expires}: give Unix seconds, above 0")
        if any(entry.since > self.version for entry in self.roster.everybody.values()):
            raise ConfigError("policy: a member of a version to come")
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

    @property
    def name(self) -> str:
        """The deployment's id in hexadecimal."""
        return self.deployment.hex()

    @property
    def id_bound(self) -> int:
        """One more than the largest member's number: excluded clients leave gaps."""
        return max(self.members) + 1

    @property
    def signs_samples(self) -> bool:
        """Whether label rows read along clean samples that everybody holds."""
        return self.clean_samples != NO_DIGEST

    @property
    def eras(self) -> int:
        """Trainings that the policy allows."""
        return len(self.first_models)

    @property
    def roster(self) -> Roster:
        """Members and former members."""
        return Roster(self.members, self.former)

    def verify_key(self, client: ClientId) -> bytes:
        """Of a member. Raises KeyError for anybody else."""
        return self.members[client].verify_key

    # Signature ------------------------------------------------------------------------------------

    def signed_parts(self) -> tuple[bytes, ...]:
        """Canonical: equal policies have equal parts, and no two different ones do."""
        return (
            self.deployment,
            number(self.version),
            number(self.expires),
            encode(*self.predecessors),
            *self.roster.signed_parts(),
            encode(*_values(self.params)),
            encode(*_values(self.caps)),
            tagged_hash(Tag.TASK, self.task),
            encode(*self.first_models),
            encode(*_values(self.budget)),
            self.clean_samples,
            number(int(self.release_model)),
        )

    def follows(self, version: int, digest: str) -> bool:
        """Whether this is the version of that number and ``digest`` (hex), or follows it."""
        if version == self.version:
            return digest == self.digest().hex()
        return 1 <= version < self.version and digest == self.predecessors[version - 1].hex()

    def digest(self) -> Digest:
        """Names this version, whoever signed it."""
        return self._digest

    @cached_property
    def _digest(self) -> Digest:  # every round asks for it, and it hashes all members
        return tagged_hash(Tag.POLICY, *self.signed_parts())

    def check(self) -> None:
        """Whether its members can play a round. Looking for thresholds takes long where there are
        none: of what a peer says only after its signature.

        Raises:
            ConfigError: they cannot; the text says what to choose.
        """
        check_round(self.params, len(self.members))

    def signed(self, operator: SigningKey) -> Policy:
        """Raises ConfigError when its members cannot play a round."""
        self.check()
        return replace(self, signature=operator.sign(Tag.POLICY, *self.signed_parts()))

    def verify(self, operator_key: bytes) -> None:
        """Raises AuthenticationFailed when the operator did not sign this policy, ConfigError when
        its members cannot play a round."""
        verify(operator_key, self.signature, Tag.POLICY, *self.signed_parts())
        self.check()

    def successor(
        self,
        operator: SigningKey,
        without: Collection[ClientId] = (),
        expires: int | None = None,
        release_model: bool | None = None,
        further: Sequence[Digest] = (),
        params: RoundParams | None = None,
        *,
        reinstated: Collection[ClientId] = (),
        newcomers: Sequence[Keys] = (),
    ) -> Policy:
        """The next version, signed: the same rules, for other members.

        Args:
            without: members who leave.
            expires: Unix seconds; None keeps the date of this version, as it does for
                ``release_model``.
            further: hashes of the first models of trainings beside those that are signed; the
                budget grows with them.
            params: None keeps those of the version before.
            reinstated: members or former members who count anew from the next version on.
            newcomers: they get the next numbers.

        Raises:
            ConfigError: one of them is not what it is named as, or too few are left.
        """
        version = self.version + 1
        roster = self.roster.without(without).reinstated(reinstated, version)
        roster = roster.joined(newcomers, version)
        n, budget = len(roster.members), self.budget.extended(self.eras, len(further))
        if n > len(self.members):  # it takes more rounds to decide about more
            budget = budget.deciding(self.params.rounds_of_doubt(n))
        return replace(
            self,
            params=params or self.params,
            version=version,
            predecessors=(*self.predecessors, self.digest()),
            members=roster.members,
            former=roster.former,
            expires=self.expires if expires is None else expires,
            release_model=self.release_model if release_model is None else release_model,
            first_models=(*self.first_models, *further),
            budget=budget,
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
    for one in fields(parameters):
        value = getattr(parameters, one.name)
        yield one.name.encode()
        match value:
            case float():
                yield struct.pack("<d", value)
            case int():
                yield number(value)
            case tuple():
                yield encode(*(str(part).encode() for part in value))
            case _:
                raise TypeError(f"{one.name} has no canonical form")
