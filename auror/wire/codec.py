"""The one codec between bytes and the messages of a round.

Strict: a message that breaks a size, an order, a range or the bound of its kind is refused
before anything of it is used.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from auror.round import messages as m
from auror.wire import fields, from_client, from_server
from auror.wire.fields import WireError
from auror.wire.limits import Kind, Limits
from auror.wire.v1 import round_pb2 as pb

_LISTS = 2
"""Over clients, that one message has at most."""
_FIELDS = 32
"""Of a message beside its lists."""
_KINDS: dict[type, Kind] = {
    m.AdvertisedKeys: Kind.ADVERTISED_KEYS,
    m.DealtShares: Kind.DEALT_SHARES,
    m.Receipt: Kind.RECEIPT,
    m.Upload: Kind.UPLOAD,
    m.Consistency: Kind.CONSISTENCY,
    m.RandomnessShares: Kind.RANDOMNESS_SHARES,
    m.MaskedStatistics: Kind.MASKED_STATISTICS,
    m.Agreement: Kind.AGREEMENT,
    m.UpdateShares: Kind.UPDATE_SHARES,
    m.Withdraw: Kind.WITHDRAW,
    m.CrossMasks: Kind.CROSS_MASKS,
    m.RoundStart: Kind.ROUND_START,
    m.KeyList: Kind.KEY_LIST,
    m.ShareDelivery: Kind.SHARE_DELIVERY,
    m.DealerList: Kind.DEALER_LIST,
    m.UploadList: Kind.UPLOAD_LIST,
    m.ConsistencyList: Kind.CONSISTENCY_LIST,
    m.RandomnessList: Kind.RANDOMNESS_LIST,
    m.AcceptedSet: Kind.ACCEPTED_SET,
    m.AgreementList: Kind.AGREEMENT_LIST,
    m.BindingFailed: Kind.BINDING_FAILED,
    m.RoundEnd: Kind.ROUND_END,
    m.FinalModel: Kind.FINAL_MODEL,
    m.Exclusion: Kind.EXCLUSION,
    m.NewPolicy: Kind.NEW_POLICY,
}


def kind_of(message: m.ClientMessage | m.AnyServerMessage) -> Kind:
    return _KINDS[type(message)]


def encode_client(message: m.ClientMessage) -> bytes:
    """Equal messages give equal bytes: maps are sorted and serialisation is deterministic."""
    return from_client.pack(message).SerializeToString(deterministic=True)


def encode_server(message: m.AnyServerMessage) -> bytes:
    """Entries of lists that many are told are encoded once, until ``forget_entries``."""
    return from_server.encode(message)


forget_entries = from_server.forget_entries


def decode_client(kind: Kind, body: bytes, limits: Limits) -> m.ClientMessage:
    """The message that a client sent as ``kind``.

    Raises:
        WireError: the bytes are not such a message.
    """
    wire = pb.ClientMessage()
    _parse(wire, kind, body, limits)
    return from_client.unpack(wire, limits)


def decode_server(kind: Kind, body: bytes, limits: Limits) -> m.AnyServerMessage:
    """The message that the server sent as ``kind``.

    Raises:
        WireError: the bytes are not such a message.
    """
    wire = pb.ServerMessage()
    _parse(wire, kind, body, limits)
    return from_server.unpack(wire, limits)


def _parse(
    wire: pb.ClientMessage | pb.ServerMessage, kind: Kind, body: bytes, limits: Limits
) -> None:
    limits.check_size(kind, len(body))
    number = wire.DESCRIPTOR.fields_by_name[kind.field].number
    fields.check_shape(kind.field, body, number, _LISTS * limits.clients + _FIELDS)
    try:
        wire.ParseFromString(body)
    except DecodeError as error:
        raise WireError(fields.NO_MESSAGE) from error
