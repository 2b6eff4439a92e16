"""Client → server messages: between protobuf and the dataclasses, both ways."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from auror.crypto.aead import OVERHEAD_BYTES
from auror.crypto.kex import PUBLIC_KEY_BYTES
from auror.crypto.signing import SIGNATURE_BYTES
from auror.errors import Refusal
from auror.params import Floors
from auror.round import messages as m
from auror.secagg.client.unmask import OpenedShares
from auror.wire import fields
from auror.wire.fields import WireError
from auror.wire.limits import UPDATE_WORD, Limits
from auror.wire.v1 import round_pb2 as pb

ENVELOPE_BYTES = len(m.SHARED_KINDS) * (33 + 16) + OVERHEAD_BYTES


def pack(message: m.ClientMessage) -> pb.ClientMessage:
    match message:
        case m.AdvertisedKeys():
            return pb.ClientMessage(advertised_keys=pack_keys(message))
        case m.DealtShares():
            return pb.ClientMessage(dealt_shares=_pack_dealt(message))
        case m.Receipt(unreadable, signature):
            return pb.ClientMessage(receipt=pb.Receipt(unreadable=unreadable, signature=signature))
        case m.Upload(payload, digest):
            return pb.ClientMessage(upload=pb.Upload(payload=payload, digest=digest))
        case m.Consistency(signature):
            return pb.ClientMessage(consistency=pb.Consistency(signature=signature))
        case m.RandomnessShares(shares):
            rows = [
                pb.ShareEntry(client=client, share=share.to_bytes())
                for client, share in sorted(shares.items())
            ]
            return pb.ClientMessage(randomness_shares=pb.RandomnessShares(shares=rows))
        case m.MaskedStatistics(payload, signature):
            return pb.ClientMessage(
                masked_statistics=pb.MaskedStatistics(payload=payload, signature=signature)
            )
        case m.Agreement(signature):
            return pb.ClientMessage(agreement=pb.Agreement(signature=signature))
        case m.UpdateShares(opened):
            return pb.ClientMessage(update_shares=pb.UpdateShares(shares=_pack_opened(opened)))
        case m.CrossMasks(images):
            found = [pb.MaskImage(client=c, image=image) for c, image in sorted(images.items())]
            return pb.ClientMessage(cross_masks=pb.CrossMasks(images=found))
        case m.Withdraw(reason):
            return pb.ClientMessage(withdraw=pb.Withdraw(reason=f"REFUSAL_{reason.name}"))


def unpack(wire: pb.ClientMessage, limits: Limits) -> m.ClientMessage:
    """Raises WireError when a field breaks the protocol's sizes, order or ranges."""
    match wire.WhichOneof("message"):
        case "advertised_keys":
            return unpack_keys(wire.advertised_keys)
        case "dealt_shares":
            return _unpack_dealt(wire.dealt_shares, limits)
        case "receipt":
            return m.Receipt(
                fields.clients("unreadable", wire.receipt.unreadable, limits.clients),
                fields.exact("signature", wire.receipt.signature, SIGNATURE_BYTES),
            )
        case "upload":
            return m.Upload(
                fields.at_most("upload", wire.upload.payload, limits.dim * UPDATE_WORD),
                fields.digest("upload digest", wire.upload.digest),
            )
        case "consistency":
            return m.Consistency(
                fields.exact("signature", wire.consistency.signature, SIGNATURE_BYTES)
            )
        case "randomness_shares":
            return _unpack_randomness(wire.randomness_shares, limits)
        case "masked_statistics":
            statistics = wire.masked_statistics
            return m.MaskedStatistics(
                fields.words("statistics", statistics.payload, 8, limits.statistics),
                fields.exact("signature", statistics.signature, SIGNATURE_BYTES),
            )
        case "agreement":
            return m.Agreement(fields.exact("signature", wire.agreement.signature, SIGNATURE_BYTES))
        case "update_shares":
            return m.UpdateShares(_unpack_opened(wire.update_shares.shares, limits))
        case "cross_masks":
            return _unpack_cross_masks(wire.cross_masks, limits)
        case "withdraw":
            return m.Withdraw(_unpack_refusal(wire.withdraw.reason))
        case _:
            raise WireError("empty client message")


def pack_keys(keys: m.AdvertisedKeys) -> pb.AdvertisedKeys:
    return pb.AdvertisedKeys(
        encryption=keys.encryption,
        update_mask=keys.update_mask,
        statistics_mask=keys.statistics_mask,
        randomness=keys.randomness,
        signature=keys.signature,
        min_present=keys.floors.present,
        min_accepted=keys.floors.accepted,
        min_group=keys.floors.group,
        algorithm=pb.KEY_ALGORITHM_X25519,
    )


def unpack_keys(wire: pb.AdvertisedKeys) -> m.AdvertisedKeys:
    if wire.algorithm != pb.KEY_ALGORITHM_X25519:
        raise WireError(f"keys of algorithm {wire.algorithm}, only X25519 is spoken")
    return m.AdvertisedKeys(
        fields.exact("encryption key", wire.encryption, PUBLIC_KEY_BYTES),
        fields.exact("update mask key", wire.update_mask, PUBLIC_KEY_BYTES),
        fields.exact("statistics mask key", wire.statistics_mask, PUBLIC_KEY_BYTES),
        fields.digest("randomness commitment", wire.randomness),
        fields.exact("signature", wire.signature, SIGNATURE_BYTES),
        Floors(wire.min_present, wire.min_accepted, wire.min_group),
    )


def _pack_dealt(message: m.DealtShares) -> pb.DealtShares:
    found = []
    for holder, row in sorted(message.share_commitments.items()):
        entry = pb.DealtEntry(holder=holder, commitments=fields.joined(row))
        if holder in message.ciphertexts:
            entry.ciphertext = message.ciphertexts[holder]
        found.append(entry)
    return pb.DealtShares(
        entries=found,
        secret_commitments=fields.joined(message.secret_commitments),
        signature=message.signature,
    )


def _unpack_dealt(wire: pb.DealtShares, limits: Limits) -> m.DealtShares:
    ciphertexts, commitments = {}, {}
    rows = fields.entries("holders", wire.entries, lambda entry: entry.holder, limits.clients)
    for holder, entry in rows:
        commitments[holder] = fields.digests("share commitments", entry.commitments)
        if entry.HasField("ciphertext"):
            ciphertexts[holder] = fields.exact("envelope", entry.ciphertext, ENVELOPE_BYTES)
    return m.DealtShares(
        ciphertexts,
        commitments,
        fields.digests("secret commitments", wire.secret_commitments),
        fields.exact("signature", wire.signature, SIGNATURE_BYTES),
    )


def _unpack_randomness(wire: pb.RandomnessShares, limits: Limits) -> m.RandomnessShares:
    rows = fields.entries("shares", wire.shares, lambda entry: entry.client, limits.clients)
    return m.RandomnessShares(
        {client: fields.share("share of randomness", entry.share) for client, entry in rows}
    )


def _unpack_cross_masks(wire: pb.CrossMasks, limits: Limits) -> m.CrossMasks:
    rows = fields.entries("mask images", wire.images, lambda entry: entry.client, limits.clients)
    most = limits.statistics * UPDATE_WORD
    return m.CrossMasks({c: fields.at_most("mask image", entry.image, most) for c, entry in rows})


def _pack_opened(shares: OpenedShares) -> Iterable[pb.OpenedShare]:
    found = [
        *(
            pb.OpenedShare(client=client, self_seed=share.to_bytes())
            for client, share in shares.self_seeds.items()
        ),
        *(
            pb.OpenedShare(client=client, mask_key=share.to_bytes())
            for client, share in shares.mask_keys.items()
        ),
    ]
    return sorted(found, key=lambda entry: entry.client)


def _unpack_opened(wire: Sequence[pb.OpenedShare], limits: Limits) -> OpenedShares:
    self_seeds, mask_keys = {}, {}
    # one entry per client, so both secrets of one peer cannot arrive (rule 1)
    for client, entry in fields.entries("shares", wire, lambda e: e.client, limits.clients):
        match entry.WhichOneof("kind"):
            case "self_seed":
                self_seeds[client] = fields.share("share of a self seed", entry.self_seed)
            case "mask_key":
                mask_keys[client] = fields.share("share of a mask key", entry.mask_key)
            case _:
                raise WireError(f"no share for client {client}")
    return OpenedShares(self_seeds, mask_keys)


def _unpack_refusal(value: int) -> Refusal:
    name = pb.Refusal.Name(value) if value in pb.Refusal.values() else ""
    try:
        return Refusal[name.removeprefix("REFUSAL_")]
    except KeyError as error:
        raise WireError(f"unknown refusal {value}") from error
