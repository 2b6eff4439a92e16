"""What a client must not forget over restarts (rule 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from auror.errors import ConfigError, Refusal, Refused
from auror.ids import ClientId, Digest
from auror.round.description import RoundDescription
from auror.round.past import Past
from auror.round.policy import Policy
from auror.round.watch import Watch


@dataclass(frozen=True)
class ClientMemory:
    """Written durably before the message that depends on it leaves the client."""

    counter: int = -1
    """Largest round counter ever joined; only larger ones are joined again."""
    policy_version: int = 0
    """Highest version of the policy ever held."""
    policy: str = ""
    """Its digest (hex)."""
    era: int = -1
    step: int = -1
    """Era and step of the last attempt; smaller ones are not joined again."""
    model: str = ""
    """Hash (hex) of the model that this step names."""
    attempts: int = 0
    """At this step: uploads that may have left."""
    total_helped: bool = False
    """A total of this step may have been opened."""
    rounds: int = 0
    """The account, over all trainings: rounds joined."""
    all_attempts: int = 0
    openings: int = 0
    """Rounds in which statistics may have left."""
    label_openings: int = 0
    """Of those, rounds in which label rows may have left."""
    totals: int = 0
    disputed: int = 0
    """Attempts in disputed rounds."""
    flagged: tuple[ClientId, ...] = ()
    """Whom the invitation of the last attempt named as flagged."""
    watched: int = 0
    """Attempts in rounds that open label rows for certain, since ``flagged`` grew, an era began or
    a member joined or was reinstated."""
    smallest_group: int = 0
    """Fewest members of a group that hid this client's statistics; 0 when none did."""
    left_out: int = 0
    """Groups left out of totals, as this client saw them announced."""
    signed: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """In the last round: phase name → hash (hex) of what was signed in it."""

    def holding(self, policy: Policy) -> ClientMemory:
        """After this client was given ``policy``.

        Raises:
            ConfigError: it holds a later version, another one of this number, or one that this
                does not follow, however many lie between.
        """
        digest, version = policy.digest().hex(), policy.version
        if version < self.policy_version:
            raise ConfigError(
                f"policy.json is version {version}, but this client has held version"
                f" {self.policy_version}: copy the newest policy.json from the operator"
            )
        if self.policy_version and not policy.follows(self.policy_version, self.policy):
            raise ConfigError(
                f"policy.json, version {version}, does not fit what this client has held: two"
                " policies of one version were signed; ask the operator which one counts"
            )
        # a flag of before does not count for whom the operator reinstated; who is new is in doubt
        new = {c for c, one in policy.members.items() if one.since > self.policy_version}
        flagged = tuple(client for client in self.flagged if client not in new)
        watched = 0 if new else self.watched
        return replace(
            self, policy_version=version, policy=digest, flagged=flagged, watched=watched
        )

    @property
    def past(self) -> Past:
        """What a server that begins has to go on from."""
        return Past(self.counter + 1, self.era + 1, self.flagged, self.policy_version)

    def joined(self, counter: int) -> ClientMemory:
        return replace(self, counter=counter, rounds=self.rounds + 1, signed=MappingProxyType({}))

    def attempts_at(self, era: int, step: int) -> int:
        return self.attempts if (era, step) == (self.era, self.step) else 0

    def watched_at(self, description: RoundDescription) -> int:
        """Attempts that count against ``max_watched`` in the round ``description``."""
        new = description.era > self.era or not set(description.flagged) <= set(self.flagged)
        return 0 if new else self.watched

    def check_place(self, era: int, step: int, model: Digest, parent: Digest) -> None:
        """A step names one model, is never gone back to, and follows from the step before it.

        Raises:
            Refused: ``model`` at ``era`` and ``step``, after ``parent``, contradicts what is known.
        """
        if (era, step) < (self.era, self.step):
            raise Refused(
                Refusal.WRONG_STEP, f"era {era}, step {step}; known: {self.era}, {self.step}"
            )
        told, before = model.hex(), parent.hex()
        if (era, step) == (self.era, self.step) and told != self.model:
            raise Refused(
                Refusal.WRONG_MODEL, f"step {step}: {told[:16]}…, known {self.model[:16]}…"
            )
        if (era, step - 1) == (self.era, self.step) and before != self.model:
            raise Refused(
                Refusal.WRONG_MODEL,
                f"parent of step {step}: {before[:16]}…, known {self.model[:16]}…",
            )

    def attempted(self, description: RoundDescription) -> ClientMemory:
        """Before the upload leaves."""
        era, step = description.era, description.step
        known = (era, step) == (self.era, self.step)
        return replace(
            self,
            era=era,
            step=step,
            model=description.model.hex(),
            attempts=self.attempts_at(era, step) + 1,
            total_helped=self.total_helped and known,
            all_attempts=self.all_attempts + 1,
            disputed=self.disputed + description.disputed,
            flagged=description.flagged,
            watched=self.watched_at(description) + (description.watch is Watch.ALWAYS),
        )

    def opened_statistics(self, group: int, labels: bool) -> ClientMemory:
        """Before statistics of the last attempt leave, hidden in a group of ``group`` members.

        ``labels``: more than the challenge rows is among them.
        """
        return replace(
            self,
            openings=self.openings + 1,
            label_openings=self.label_openings + labels,
            smallest_group=min(self.smallest_group or group, group),
        )

    def opened_total(self, description: RoundDescription) -> ClientMemory:
        """Before the shares that open a total leave."""
        if (description.era, description.step) != (self.era, self.step):
            raise Refused(Refusal.WRONG_STEP, "a total of a step without an attempt")
        return replace(self, total_helped=True, totals=self.totals + 1)

    def signing(self, phase: str, content: Digest, left_out: int = 0) -> ClientMemory:
        """Raises Refused when something else was signed in this phase of this round."""
        if self.signed.get(phase, content.hex()) != content.hex():
            raise Refused(Refusal.SECOND_ANSWER, f"signed another set in phase {phase}")
        return replace(
            self,
            left_out=self.left_out + (left_out if phase not in self.signed else 0),
            signed=MappingProxyType({**self.signed, phase: content.hex()}),
        )
