"""What keeps a client from going on: the reason that its server is told, and the line that its user
reads."""

from __future__ import annotations

from auror.errors import (
    BudgetSpent,
    ConfigError,
    DataError,
    MachineError,
    Refusal,
    UserError,
    machine_error,
)
from auror.ids import ClientId

_ADVICE = {
    Refusal.WRONG_CONFIGURATION: "run the same version of auror and the same deployment on both"
    " sides",
    Refusal.WRONG_POLICY: "copy the newest policy.json from the operator to server and client",
    Refusal.POLICY_EXPIRED: "let the operator run `auror policy next DIR --days N`",
    Refusal.STATISTICS_TOO_LARGE: "raise rules.max_statistics if this client may show more, or let"
    " the server ask for fewer",
}
"""How to mend what a client refuses in every round of a run."""


def refused_for_good(refusal: Refusal, detail: str) -> UserError:
    """A refusal that would be the same in every later round; ``detail`` holds both values."""
    advice = _ADVICE.get(refusal, "see the log")
    return ConfigError(f"{refusal.value} ({detail}): this client takes part in nothing; {advice}")


def budget_spent(client: ClientId, detail: str) -> BudgetSpent:
    """``detail``: which limit."""
    return BudgetSpent(
        f"client {client}: the budget of this client's data is spent ({detail}): it takes part in"
        " nothing more; `auror-client --account` says what it was spent on"
    )


def failure_of(error: Exception) -> tuple[Refusal, Exception]:
    """Why a client ends in the middle of a round, and what its user is told.

    Errors that nobody can name are handed on as they are.
    """
    match error:
        case MachineError():
            return Refusal.STATE_UNWRITABLE, error
        case DataError():
            return Refusal.DATA_UNUSABLE, error
        case UserError():
            return Refusal.TRAINING_FAILED, error
        case MemoryError():
            return Refusal.OUT_OF_MEMORY, _too_little_memory(error)
        case OSError() if (said := machine_error(error)) is not None:
            return Refusal.STATE_UNWRITABLE, said
        case RuntimeError() if type(error).__name__ == "OutOfMemoryError":  # torch's, of a device
            return Refusal.OUT_OF_MEMORY, _too_little_memory(error)
        case RuntimeError() if _of_device(error):
            line = f"the device failed in training ({_first(error)}): choose another client.device"
            return Refusal.DEVICE_FAILED, MachineError(line)
        case _:
            return Refusal.TRAINING_FAILED, error


def _too_little_memory(error: Exception) -> MachineError:
    said = f" ({_first(error)})" if str(error) else ""
    return MachineError(
        f"too little memory for this model and these samples{said}: free some, lower"
        " client.training_threads, or choose another client.device"
    )


def _of_device(error: Exception) -> bool:
    text = str(error).lower()
    return any(name in text for name in ("cuda", "cudnn", "cublas", "device-side", "hip error"))


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
