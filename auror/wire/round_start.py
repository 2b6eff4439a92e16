"""The invitation: description, statistics plan and model."""

from __future__ import annotations

from auror.ids import ROUND_NONCE_BYTES, RoundId
from auror.round.description import RoundDescription, model_bytes, model_from
from auror.round.label_rows import LabelRows, MeansSource
from auror.round.messages import RoundStart
from auror.round.plan import CountSketch, OutputLayer, PlanPart, StatisticsPlan
from auror.round.policy import DEPLOYMENT_BYTES
from auror.round.watch import Watch
from auror.wire import fields
from auror.wire.fields import WireError
from auror.wire.limits import PLAN_PARTS, Limits, ModelTooLarge
from auror.wire.v1 import round_pb2 as pb


def pack_start(message: RoundStart) -> pb.RoundStart:
    return pb.RoundStart(
        description=_pack_description(message.description),
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
        plan,
        model_from(raw),
    )


def _pack_description(description: RoundDescription) -> pb.RoundDescription:
    return pb.RoundDescription(
        version=description.version,
        deployment=description.deployment,
        policy=description.policy,
        policy_version=description.policy_version,
        round_id=pb.RoundId(counter=description.round_id.counter, nonce=description.round_id.nonce),
        attempt=description.attempt,
        era=description.era,
        step=description.step,
        disputed=description.disputed,
        parent=description.parent,
        model=description.model,
        plan=description.plan,
        cohort=fields.bitmap(description.cohort),
        watch=f"WATCH_{description.watch.name}",
        flagged=description.flagged,
    )


def _unpack_description(wire: pb.RoundDescription, limits: Limits) -> RoundDescription:
    nonce = fields.exact("round nonce", wire.round_id.nonce, ROUND_NONCE_BYTES)
    return RoundDescription(
        deployment=fields.exact("deployment", wire.deployment, DEPLOYMENT_BYTES),
        policy=fields.digest("policy", wire.policy),
        policy_version=wire.policy_version,
        round_id=RoundId(wire.round_id.counter, nonce),
        attempt=wire.attempt,
        era=wire.era,
        step=wire.step,
        disputed=wire.disputed,
        parent=fields.digest("parent", wire.parent),
        model=fields.digest("model", wire.model),
        plan=fields.digest("plan", wire.plan),
        cohort=fields.client_set("cohort", wire.cohort, limits.clients),
        watch=_unpack_watch(wire.watch),
        flagged=fields.clients("flagged", wire.flagged, limits.clients),
        version=wire.version,
    )


def _unpack_watch(value: int) -> Watch:
    if value not in {pb.WATCH_ALWAYS, pb.WATCH_DRAWN}:
        raise WireError(f"watch: unknown value {value}")
    return Watch(value)


def _pack_part(part: PlanPart) -> pb.PlanPart:
    match part:
        case OutputLayer(offset, length):
            return pb.PlanPart(output_layer=pb.OutputLayer(offset=offset, length=length))
        case CountSketch(seed, rows, challenge):
            return pb.PlanPart(
                count_sketch=pb.CountSketch(seed=seed, rows=rows, challenge=challenge)
            )
        case LabelRows(offset, means, classes, hidden, exponent, source):
            return pb.PlanPart(
                label_rows=pb.LabelRows(
                    offset=offset,
                    means=means,
                    classes=classes,
                    hidden=hidden,
                    exponent=exponent,
                    source=f"MEANS_SOURCE_{source.name}",
                )
            )


def _unpack_plan(wire: pb.StatisticsPlan, limits: Limits) -> StatisticsPlan:
    if wire.dim > limits.dim:
        raise ModelTooLarge(f"dim: {wire.dim} entries, at most {limits.dim} allowed")
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
        case "label_rows":
            label = wire.label_rows
            part = LabelRows(
                label.offset,
                label.means,
                label.classes,
                label.hidden,
                label.exponent,
                _unpack_source(label.source),
            )
        case _:
            raise WireError("plan: empty part")
    if not part.fits(dim):
        raise WireError(f"plan: a part does not fit {dim} entries")
    return part


def _unpack_source(value: int) -> MeansSource:
    if value == pb.MEANS_SOURCE_CLEAN_SAMPLES:
        return MeansSource.CLEAN_SAMPLES
    if value == pb.MEANS_SOURCE_OUTPUT_WEIGHTS:
        return MeansSource.OUTPUT_WEIGHTS
    raise WireError(f"plan: unknown source {value} of class means")
