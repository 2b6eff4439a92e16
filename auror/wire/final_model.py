"""The trained model at the end of a training."""

from __future__ import annotations

from auror.round.description import model_bytes, model_from
from auror.round.messages import FinalModel
from auror.wire import fields
from auror.wire.limits import UPDATE_WORD, Limits
from auror.wire.v1 import round_pb2 as pb


def pack_final(message: FinalModel) -> pb.FinalModel:
    return pb.FinalModel(
        policy=message.policy,
        era=message.era,
        step=message.step,
        parent=message.parent,
        digest=message.digest,
        model=model_bytes(message.model),
    )


def unpack_final(wire: pb.FinalModel, limits: Limits) -> FinalModel:
    """Raises WireError: no whole float32, more than ``limits`` allows, digests of another size."""
    raw = fields.words("model", wire.model, UPDATE_WORD, limits.dim)
    return FinalModel(
        policy=fields.digest("policy", wire.policy),
        era=wire.era,
        step=wire.step,
        parent=fields.digest("parent", wire.parent),
        digest=fields.digest("model", wire.digest),
        model=model_from(raw),
    )
