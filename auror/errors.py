"""The error tree: two roots.

``UserError`` is something the person at the keyboard can mend; its text is one line that
names the fix, and programs print it without a traceback. ``ProtocolError`` is something a
peer did or a round could not do; it carries a reason from a closed list, so that it can be
counted, tested and shown without leaking internals.
"""

from __future__ import annotations

import enum
import errno

from auror.ids import ClientId


class UserError(Exception):
    """Bad input from the operator. ``exit_code`` is what a program exits with."""

    exit_code = 2


class ConfigError(UserError):
    """A setting that cannot be used; the message names the setting and the fix."""


class CredentialsError(UserError):
    """A certificate, key or policy that is missing, unreadable or does not fit."""

    exit_code = 3


class DataError(UserError):
    """A data set or file that cannot be loaded."""

    exit_code = 4


class UnavailableError(UserError):
    """A port, address or peer that cannot be reached or bound."""

    exit_code = 5


class MembersMissing(UnavailableError):
    """Exclusions leave fewer members than the policy's floor: the operator must issue another."""


class UntrainedError(UserError):
    """A training that ended before its last round, or a session whose totals did without a
    client."""

    exit_code = 7


class BudgetSpent(UserError):
    """The policy's budget of a client's data is used up; nothing more will be opened."""

    exit_code = 8


class ModelMissing(UserError):
    """A session that ended as planned, without the model that the policy promises its clients."""

    exit_code = 9


class Excluded(UserError):
    """This client is not invited any more, for good: it was flagged, or proven to have lied."""

    exit_code = 10


class MachineError(UserError):
    """The machine that the program runs on cannot go on: disk, memory, open files, device."""

    exit_code = 11


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_FILES = (errno.EMFILE, errno.ENFILE)
_MACHINE = (*_FULL, *_FILES, errno.ENOMEM)
"""What a disk, a limit or a machine does, and no setting."""


def machine_error(error: BaseException) -> MachineError | None:
    """``error`` in one line when it is the machine's doing; None when it is a fault of ours."""
    if isinstance(error, MemoryError):
        return MachineError("too little memory: free some and start again")
    if not isinstance(error, OSError) or error.errno not in _MACHINE:
        return None
    where = f"{error.filename}: " if error.filename else ""
    advice = "raise the limit on open files (ulimit -n)" if error.errno in _FILES else "mend that"
    return MachineError(f"{where}{error.strerror}; {advice} and start again")


_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def exit_code_of(error: UserError) -> int:
    """What a program exits with: the machine's code where a full disk, a quota or a limit on the
    size of files is the cause, whatever could not be written."""
    cause = error.__cause__
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _DISK_FULL:
            return MachineError.exit_code
        cause = cause.__cause__
    return error.exit_code


class DropReason(enum.Enum):
    """Why one client no longer takes part in a round."""

    SILENT = "silent: no message before the deadline"
    BAD_SIGNATURE = "signature does not verify under this round's description"
    MALFORMED = "message does not have the announced shape"
    OUT_OF_TURN = "message of another phase"
    EQUIVOCATION = "two different messages for one phase"
    BAD_DIGEST = "payload does not match its digest"
    BAD_COMMITMENT = "opened value does not match its commitment"
    BAD_DEALING = "more holders than can collude cannot read its envelopes"
    FALSE_RECEIPT = (
        "its receipt names more dealers than can collude, or it withheld what it receipted"
    )
    UNREADABLE = "too few holders can read its envelopes"
    REFUSED = "client refused to go on"
    NOT_INVITED = "not in this round's cohort"


class AbortReason(enum.Enum):
    """Why a round ended without a new model."""

    TOO_FEW_ADVERTISED = "too few clients advertised keys"
    TOO_FEW_DEALT = "too few clients dealt shares"
    TOO_FEW_UPLOADED = "too few clients uploaded"
    TOO_FEW_CONSISTENT = "too few signatures under the set of uploads"
    TOO_FEW_STATISTICS = "too few groups whose members all sent statistics"
    TOO_FEW_SHARES = "too few shares to open"
    TOO_FEW_AGREED = "too few signatures under the accepted set"
    TOO_FEW_ACCEPTED = "too few groups accepted"
    BINDING_FAILED = "statistics do not match the accepted total"
    BAD_RECONSTRUCTION = "a reconstructed secret does not match its commitment"
    SERVER_STOPPED = "server stopped"


class Refusal(enum.Enum):
    """A rule of its own that a client would break by going on."""

    COHORT_TOO_SMALL = "fewer clients than the floor"
    WRONG_COHORT = "cohort is not a sorted part of the policy's members with this client"
    GROUP_TOO_SMALL = "group smaller than the floor"
    STATISTICS_TOO_LARGE = "statistics plan beyond the caps"
    RING_OVERFLOW = "honest sums could wrap around the ring"
    WRONG_MODEL = "model is not the one that its name stands for"
    WRONG_CONFIGURATION = "another protocol version, deployment or statistics plan"
    WRONG_POLICY = "policy is not the one this client holds"
    POLICY_EXPIRED = "policy has expired"
    ROUND_REPLAYED = "round counter not larger than the last one"
    WRONG_STEP = "era or step behind what this client knows, or beyond the policy"
    ATTEMPTS_EXHAUSTED = "too many attempts at one step"
    TOTAL_REPEATED = "a total of this step was already helped to open"
    TOO_MANY_DISPUTED = "more disputed rounds than the policy allows"
    WATCHED_TOO_OFTEN = "label rows for certain in more rounds than the policy allows"
    WRONG_FLAGS = "flagged clients are invited, taken back or no members"
    BUDGET_SPENT = "the budget of this client's data is spent"
    KEYS_SUBSTITUTED = "key list is not signed by its owners"
    KEY_REUSED = "two peers, or one peer in two roles, show one key"
    OWN_KEYS_MISSING = "key list does not hold this client's own keys"
    SET_NOT_SUBSET = "announced set is not a subset of the one before"
    RANDOMNESS_FORGED = "public randomness does not match its commitments"
    DIGEST_FORGED = "announced upload digest is not what this client sent"
    VIEW_DISAGREES = "peers signed another view of the round"
    ACCEPTED_NOT_GROUPS = "accepted set splits a group"
    ACCEPTED_TOO_SMALL = "accepted set smaller than the floor"
    QUORUM_MISSING = "not enough valid signatures under the accepted set"
    SECOND_ANSWER = "this phase was already answered differently"
    OUT_OF_TURN = "message of another phase"
    BAD_UPDATE = "own update has values that are not finite"
    MASKS_WOULD_SHOW = "opening cross-group masks would show single clients"
    FORGED_MEANS = "the plan's class means are not those of the model and the signed clean samples"
    UNKNOWN_ROUND = "nothing is known of the round: this client was started anew during it"
    DATA_UNUSABLE = "this client's samples cannot be used"
    DEVICE_FAILED = "the device that trains failed"
    OUT_OF_MEMORY = "this client's machine has too little memory"
    STATE_UNWRITABLE = "what this client must remember cannot be written"
    TRAINING_FAILED = "this client's training failed"

    @property
    def is_final(self) -> bool:
        """Whether no later round of this run could be any different."""
        return self in _FINAL


_FINAL = frozenset(
    {
        Refusal.WRONG_CONFIGURATION,
        Refusal.WRONG_POLICY,
        Refusal.POLICY_EXPIRED,
        Refusal.STATISTICS_TOO_LARGE,
        Refusal.BUDGET_SPENT,
        Refusal.DATA_UNUSABLE,
        Refusal.DEVICE_FAILED,
        Refusal.OUT_OF_MEMORY,
        Refusal.STATE_UNWRITABLE,
        Refusal.TRAINING_FAILED,
    }
)


class ProtocolError(Exception):
    """A peer or a round failed; never the operator's typing."""


class PeerMisbehaved(ProtocolError):
    """The server's view: ``client`` leaves the round for ``reason``."""

    def __init__(
        self,
        client: ClientId,
        reason: DropReason,
        detail: str = "",
        refusal: Refusal | None = None,
    ) -> None:
        """``refusal``: what a client says that will not go on."""
        self.client = client
        self.reason = reason
        self.detail = detail
        self.refusal = refusal
        super().__init__(f"client {client}: {reason.value}" + (f" ({detail})" if detail else ""))


class RoundAborted(ProtocolError):
    """The round ended without a total; the next one starts with fresh state.

    ``culprit``: the client whose own signed commitments prove that it caused this, if any.
    """

    def __init__(
        self, reason: AbortReason, detail: str = "", culprit: ClientId | None = None
    ) -> None:
        self.reason = reason
        self.detail = detail
        self.culprit = culprit
        super().__init__(reason.value + (f" ({detail})" if detail else ""))


class Refused(ProtocolError):
    """The client's view: going on would break one of its own rules."""

    def __init__(self, reason: Refusal, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(reason.value + (f" ({detail})" if detail else ""))


class AuthenticationFailed(ProtocolError):
    """A ciphertext or signature does not verify."""
