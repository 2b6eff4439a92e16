"""Server → client messages: between protobuf and the dataclasses, both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias, TypeVar

from auror.crypto.signing import SIGNATURE_BYTES
from auror.errors import AbortReason
from auror.ids import ClientId, Digest
from auror.round import messages as m
from auror.wire import fields
from auror.wire.exclusion import pack_exclusion, unpack_exclusion
from auror.wire.fields import WireError
from auror.wire.final_model import pack_final, unpack_final
from auror.wire.from_client import ENVELOPE_BYTES, pack_keys, unpack_keys
from auror.wire.limits import Limits
from auror.wire.round_start import pack_start, unpack_start
from auror.wire.v1 import round_pb2 as pb


def encode(message: m.AnyServerMessage) -> bytes:
    """Equal messages give equal bytes: fields and maps are sorted.

    A list of a thousand clients goes to each of them in another part: an entry is encoded once, and
    encodings that follow each other are one message
    (https://protobuf.dev/programming-guides/encoding/#last-one-wins).
    """
    match message:
        case m.KeyList(advertised, keys, commitments, proof):
            return fields.embedded(
                pb.ServerMessage.KEY_LIST_FIELD_NUMBER,
                pb.KeyList(advertised=fields.bitmap(advertised)).SerializeToString(),
                *_each(_listed_keys, keys),
                *_each(_commitment, commitments),
                pb.KeyList(proof=fields.joined(proof)).SerializeToString(),
            )
        case m.RandomnessList(randomness, keys, proof):
            return fields.embedded(
                pb.ServerMessage.RANDOMNESS_LIST_FIELD_NUMBER,
                *_each(_randomness, randomness),
                *_each(_keys_of_group, keys),
                pb.RandomnessList(proof=fields.joined(proof)).SerializeToString(),
            )
        case m.AcceptedSet(accepted, signatures):
            return fields.embedded(
                pb.ServerMessage.ACCEPTED_SET_FIELD_NUMBER,
                pb.AcceptedSet(accepted=fields.bitmap(accepted)).SerializeToString(),
                *_each(_signature_of_view, signatures),
            )
        case _:
            return _pack(message).SerializeToString(deterministic=True)


_Whole: TypeAlias = (
    m.RoundStart | m.ShareDelivery | m.DealerList | m.UploadList | m.ConsistencyList
    | m.AgreementList | m.BindingFailed | m.RoundEnd | m.FinalModel | m.Exclusion | m.NewPolicy
)  # fmt: skip


def _pack(message: _Whole) -> pb.ServerMessage:
    match message:
        case m.RoundStart():
            return pb.ServerMessage(round_start=pack_start(message))
        case m.ShareDelivery(dealers, envelopes):
            return pb.ServerMessage(
                share_delivery=pb.ShareDelivery(
                    dealers=fields.bitmap(dealers),
                    envelopes=[
                        pb.EnvelopeEntry(
                            dealer=dealer,
                            ciphertext=envelope.ciphertext,
                            commitments=fields.joined(envelope.commitments),
                        )
                        for dealer, envelope in sorted(envelopes.items())
                    ],
                )
            )
        case m.DealerList(dealers):
            return pb.ServerMessage(dealer_list=pb.DealerList(dealers=fields.bitmap(dealers)))
        case m.UploadList(uploaded, proof):
            return pb.ServerMessage(
                upload_list=pb.UploadList(
                    uploaded=fields.bitmap(uploaded), proof=fields.joined(proof)
                )
            )
        case m.ConsistencyList(signatures):
            return pb.ServerMessage(
                consistency_list=pb.ConsistencyList(signatures=_pack_signatures(signatures))
            )
        case m.AgreementList(signatures):
            return pb.ServerMessage(
                agreement_list=pb.AgreementList(signatures=_pack_signatures(signatures))
            )
        case m.BindingFailed():
            return pb.ServerMessage(binding_failed=pb.BindingFailed())
        case m.RoundEnd():
            return pb.ServerMessage(round_end=_pack_end(message))
        case m.FinalModel():
            return pb.ServerMessage(final_model=pack_final(message))
        case m.Exclusion():
            return pb.ServerMessage(exclusion=pack_exclusion(message))
        case m.NewPolicy(text):
            return pb.ServerMessage(new_policy=pb.NewPolicy(text=text))


def unpack(wire: pb.ServerMessage, limits: Limits) -> m.AnyServerMessage:
    """Raises WireError when a field breaks the protocol's sizes, order or ranges."""
    known = limits.clients
    match wire.WhichOneof("message"):
        case "round_start":
            return unpack_start(wire.round_start, limits)
        case "key_list":
            return _unpack_key_list(wire.key_list, known)
        case "share_delivery":
            return _unpack_delivery(wire.share_delivery, limits)
        case "dealer_list":
            return m.DealerList(fields.client_set("dealers", wire.dealer_list.dealers, known))
        case "upload_list":
            return m.UploadList(
                fields.client_set("uploads", wire.upload_list.uploaded, known),
                fields.proof("upload digests", wire.upload_list.proof, known),
            )
        case "consistency_list":
            return m.ConsistencyList(_unpack_signatures(wire.consistency_list.signatures, known))
        case "randomness_list":
            return _unpack_randomness(wire.randomness_list, known)
        case "accepted_set":
            return m.AcceptedSet(
                fields.client_set("accepted", wire.accepted_set.accepted, known),
                _unpack_signatures(wire.accepted_set.signatures, known),
            )
        case "agreement_list":
            return m.AgreementList(_unpack_signatures(wire.agreement_list.signatures, known))
        case "binding_failed":
            return m.BindingFailed()
        case "round_end":
            return _unpack_end(wire.round_end, known)
        case "final_model":
            return unpack_final(wire.final_model, limits)
        case "exclusion":
            return unpack_exclusion(wire.exclusion)
        case "new_policy":
            return m.NewPolicy(wire.new_policy.text)
        case _:
            raise WireError("empty server message")


def _unpack_key_list(wire: pb.KeyList, known: int) -> m.KeyList:
    committed = fields.entries("commitments", wire.commitments, lambda e: e.client, known)
    return m.KeyList(
        fields.client_set("advertised", wire.advertised, known),
        _unpack_keys(wire.entries, known),
        {client: fields.digest("commitment", entry.digest) for client, entry in committed},
        fields.proof("keys", wire.proof, known),
    )


def _unpack_delivery(wire: pb.ShareDelivery, limits: Limits) -> m.ShareDelivery:
    rows = fields.entries("envelopes", wire.envelopes, lambda e: e.dealer, limits.clients)
    return m.ShareDelivery(
        fields.client_set("dealers", wire.dealers, limits.clients),
        {
            dealer: m.Envelope(
                fields.exact("envelope", entry.ciphertext, ENVELOPE_BYTES),
                fields.digests("share commitments", entry.commitments),
            )
            for dealer, entry in rows
        },
    )


def _unpack_randomness(wire: pb.RandomnessList, known: int) -> m.RandomnessList:
    values = fields.entries("randomness", wire.randomness, lambda e: e.client, known)
    return m.RandomnessList(
        {client: fields.exact("randomness", entry.randomness, 32) for client, entry in values},
        _unpack_keys(wire.keys, known),
        fields.proof("keys", wire.proof, known),
    )


_Value = TypeVar("_Value")
_ENTRIES = 1 << 14
"""Of each kind: those of one round, whose lists overlap (``forget_entries``)."""


def _each(
    encode: Callable[[ClientId, _Value], bytes], entries: Mapping[ClientId, _Value]
) -> list[bytes]:
    return [encode(client, entries[client]) for client in sorted(entries)]


@lru_cache(_ENTRIES)
def _listed_keys(client: ClientId, keys: m.AdvertisedKeys) -> bytes:
    entry = pb.KeyListEntry(client=client, keys=pack_keys(keys))
    return pb.KeyList(entries=[entry]).SerializeToString(deterministic=True)


@lru_cache(_ENTRIES)
def _keys_of_group(client: ClientId, keys: m.AdvertisedKeys) -> bytes:
    entry = pb.KeyListEntry(client=client, keys=pack_keys(keys))
    return pb.RandomnessList(keys=[entry]).SerializeToString(deterministic=True)


@lru_cache(_ENTRIES)
def _commitment(client: ClientId, digest: Digest) -> bytes:
    entry = pb.ClientDigest(client=client, digest=digest)
    return pb.KeyList(commitments=[entry]).SerializeToString(deterministic=True)


@lru_cache(_ENTRIES)
def _randomness(client: ClientId, randomness: bytes) -> bytes:
    entry = pb.ClientRandomness(client=client, randomness=randomness)
    return pb.RandomnessList(randomness=[entry]).SerializeToString(deterministic=True)


@lru_cache(_ENTRIES)
def _signature_of_view(client: ClientId, signature: bytes) -> bytes:
    entry = pb.ClientSignature(client=client, signature=signature)
    return pb.AcceptedSet(signatures=[entry]).SerializeToString(deterministic=True)


def forget_entries() -> None:
    """A round has begun: no list of the ones before is told any more."""
    for kept in (_listed_keys, _keys_of_group, _commitment, _randomness, _signature_of_view):
        kept.cache_clear()


def _unpack_keys(wire: Sequence[pb.KeyListEntry], known: int) -> dict[ClientId, m.AdvertisedKeys]:
    rows = fields.entries("keys", wire, lambda e: e.client, known)
    return {client: unpack_keys(entry.keys) for client, entry in rows}


def _pack_signatures(signatures: Mapping[ClientId, bytes]) -> Iterable[pb.ClientSignature]:
    return [
        pb.ClientSignature(client=client, signature=signature)
        for client, signature in sorted(signatures.items())
    ]


def _unpack_signatures(wire: Sequence[pb.ClientSignature], known: int) -> dict[ClientId, bytes]:
    return {
        client: fields.exact("signature", entry.signature, SIGNATURE_BYTES)
        for client, entry in fields.entries("signatures", wire, lambda e: e.client, known)
    }


def _pack_end(end: m.RoundEnd) -> pb.RoundEnd:
    return pb.RoundEnd(
        model=end.model,
        aborted=None if end.aborted is None else f"ABORT_REASON_{end.aborted.name}",
        flagged=end.flagged,
        left_out=end.left_out,
        audited=end.audited,
        excluded=end.excluded,
    )


def _unpack_end(wire: pb.RoundEnd, known: int) -> m.RoundEnd:
    return m.RoundEnd(
        fields.digest("model", wire.model),
        _unpack_abort(wire.aborted) if wire.HasField("aborted") else None,
        fields.clients("flagged", wire.flagged, known),
        fields.clients("left out", wire.left_out, known),
        fields.clients("audited", wire.audited, known),
        fields.clients("excluded", wire.excluded, known),
    )


def _unpack_abort(value: int) -> AbortReason:
    name = pb.AbortReason.Name(value) if value in pb.AbortReason.values() else ""
    try:
        return AbortReason[name.removeprefix("ABORT_REASON_")]
    except KeyError as error:
        raise WireError(f"unknown abort reason {value}") from error
