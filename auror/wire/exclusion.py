"""Why a client is excluded for good, as it is told."""

from __future__ import annotations

import math

from auror.round.messages import Exclusion, ExclusionCause
from auror.wire import fields
from auror.wire.fields import WireError
from auror.wire.v1 import round_pb2 as pb

MAX_CLASS = 2**16
"""Labels are below."""
MAX_ROUNDS = 2**31


def pack_exclusion(message: Exclusion) -> pb.Exclusion:
    return pb.Exclusion(
        cause=f"EXCLUSION_CAUSE_{message.cause.name}",
        source=message.source,
        target=message.target,
        strength=message.strength,
        required=message.required,
        rounds=message.rounds,
        audits=message.audits,
    )


def unpack_exclusion(wire: pb.Exclusion) -> Exclusion:
    """Raises WireError: an unknown cause, or a number out of its range."""
    return Exclusion(
        cause=_cause(wire.cause),
        source=_class(wire.source) if wire.HasField("source") else None,
        target=_class(wire.target) if wire.HasField("target") else None,
        strength=_finite(wire.strength) if wire.HasField("strength") else None,
        required=_finite(wire.required) if wire.HasField("required") else None,
        rounds=fields.one_of("rounds", wire.rounds, 0, MAX_ROUNDS),
        audits=fields.one_of("audits", wire.audits, 0, MAX_ROUNDS),
    )


def _cause(value: int) -> ExclusionCause:
    name = pb.ExclusionCause.Name(value) if value in pb.ExclusionCause.values() else ""
    try:
        return ExclusionCause[name.removeprefix("EXCLUSION_CAUSE_")]
    except KeyError as error:
        raise WireError(f"unknown cause of an exclusion {value}") from error


def _class(value: int) -> int:
    return fields.one_of("class", value, 0, MAX_CLASS - 1)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise WireError("a number that is not finite")
    return value
