"""The invitation: description, parameters, statistics plan and model."""

from __future__ import annotations

import numpy as np

from auror.errors import ConfigError
from auror.ids import ROUND_NONCE_BYTES, RoundId
from auror.params import RoundParams
from auror.round.description import RoundDescription, model_bytes
from auror.round.messages import RoundStart
from auror.round.plan import CountSketch, LabelConfusion, OutputLayer, PlanPart, StatisticsPlan
from auror.wire import fields
from auror.wire.fields import WireError
from auror.wire.limits import NAME_CHARACTERS, PLAN_PARTS, TASK_BYTES, Limits
from auror.wire.v1 import round_pb2 as pb

_PARAMETERS = (
    "group_size",
    "colluders",
    "quantisation_bits",
    "quantisation_range",
    "challenge_rows",
    "min_accepted_groups",
    "max_attempts",
    "dropouts",
    "audit_probability",
)


def pack_start(message: RoundStart) -> pb.RoundStart:
    return pb.RoundStart(
        description=_pack_description(message.description),
        params=pb.RoundParams(**{name: getattr(message.params, name) for name in _PARAMETERS}),
        task=message.task,
        plan=pb.StatisticsPlan(
            dim=message.plan.dim, parts=[_pack_part(part) for part in message.plan.parts]
        ),
        model=model_bytes(message.model),
    )


def unpack_start(wire: pb.RoundStart, limits: Limits) -> RoundStart:
    plan = _unpack_plan(wire.plan, limits)
    raw = fields.exact("model", wire.model, 4 * plan.dim)
    return RoundStart(
        _unpack_description(wire.description, limits),
        _unpack_params(wire.params),
        fields.at_most("task", wire.task, TASK_BYTES),
        plan,
        np.frombuffer(raw, dtype="<f4").astype(np.float32),
    )


def _pack_description(description: RoundDescription) -> pb.RoundDescription:
    return pb.RoundDescription(
        version=description.version,
        deployment=description.deployment,
        round_id=pb.RoundId(counter=description.round_id.counter, nonce=description.round_id.nonce),
        attempt=description.attempt,
        model=description.model,
        configuration=description.configuration,
        plan=description.plan,
        roster=description.roster,
        cohort=description.cohort,
    )


def _unpack_description(wire: pb.RoundDescription, limits: Limits) -> RoundDescription:
    if len(wire.deployment) > NAME_CHARACTERS:
        raise WireError("deployment: name too long")
    nonce = fields.exact("round nonce", wire.round_id.nonce, ROUND_NONCE_BYTES)
    return RoundDescription(
        round_id=RoundId(wire.round_id.counter, nonce),
        attempt=wire.attempt,
        deployment=wire.deployment,
        model=fields.digest("model", wire.model),
        configuration=fields.digest("configuration", wire.configuration),
        plan=fields.digest("plan", wire.plan),
        roster=fields.digest("roster", wire.roster),
        cohort=fields.clients("cohort", wire.cohort, limits.clients),
        version=wire.version,
    )


def _unpack_params(wire: pb.RoundParams) -> RoundParams:
    try:
        return RoundParams(**{name: getattr(wire, name) for name in _PARAMETERS})
    except ConfigError as error:
        raise WireError(f"round parameters: {error}") from error


def _pack_part(part: PlanPart) -> pb.PlanPart:
    match part:
        case OutputLayer(offset, length):
            return pb.PlanPart(output_layer=pb.OutputLayer(offset=offset, length=length))
        case CountSketch(seed, rows, challenge):
            return pb.PlanPart(
                count_sketch=pb.CountSketch(seed=seed, rows=rows, challenge=challenge)
            )
        case LabelConfusion(offset, basis, classes, hidden):
            return pb.PlanPart(
                label_confusion=pb.LabelConfusion(
                    offset=offset, basis=basis, classes=classes, hidden=hidden
                )
            )


def _unpack_plan(wire: pb.StatisticsPlan, limits: Limits) -> StatisticsPlan:
    dim = fields.one_of("dim", wire.dim, 1, limits.dim)
    if len(wire.parts) > PLAN_PARTS:
        raise WireError(f"plan: {len(wire.parts)} parts, at most {PLAN_PARTS} allowed")
    plan = StatisticsPlan(dim, tuple(_unpack_part(part, dim) for part in wire.parts))
    if plan.rows > limits.statistics:
        raise WireError(f"plan: {plan.rows} rows, at most {limits.statistics} allowed")
    return plan


def _unpack_part(wire: pb.PlanPart, dim: int) -> PlanPart:
    part: PlanPart
    match wire.WhichOneof("part"):
        case "output_layer":
            part = OutputLayer(wire.output_layer.offset, wire.output_layer.length)
        case "count_sketch":
            sketch = wire.count_sketch
            part = CountSketch(sketch.seed, sketch.rows, sketch.challenge)
        case "label_confusion":
            confusion = wire.label_confusion
            part = LabelConfusion(
                confusion.offset, confusion.basis, confusion.classes, confusion.hidden
            )
        case _:
            raise WireError("plan: empty part")
    if not part.fits(dim):
        raise WireError(f"plan: a part does not fit {dim} entries")
    return part
