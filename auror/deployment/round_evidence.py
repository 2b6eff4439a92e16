"""What a round's messages prove to somebody who was not there: public lists and signatures.

Every client was told some of it, and roots of all. Nothing here shows more than the sums that were
opened.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from auror.ids import ClientId, Digest, RoundId
from auror.params import Floors
from auror.round.description import RoundDescription
from auror.round.label_rows import LabelRows, MeansSource
from auror.round.messages import AdvertisedKeys
from auror.round.plan import CountSketch, OutputLayer, PlanPart, StatisticsPlan
from auror.round.watch import Watch

Json = dict[str, Any]
_NONE: Mapping[ClientId, Any] = {}


@dataclass(frozen=True)
class RoundEvidence:
    """One round; what it did not reach is empty."""

    description: RoundDescription
    plan: StatisticsPlan
    """P without its challenge part: scales and signs of every statistic."""
    keys: Mapping[ClientId, AdvertisedKeys] = field(default_factory=lambda: _NONE)
    """U1, signed over T."""
    dealt: tuple[ClientId, ...] = ()
    """U2"""
    digests: Mapping[ClientId, Digest] = field(default_factory=lambda: _NONE)
    """U3 with the digests of its uploads."""
    consistency: Mapping[ClientId, bytes] = field(default_factory=lambda: _NONE)
    """Signatures under U3."""
    randomness: Mapping[ClientId, bytes] = field(default_factory=lambda: _NONE)
    """Every r of U2 that counts: the committee's."""
    accepted: tuple[ClientId, ...] = ()
    """A, as it was proposed."""
    views: Mapping[ClientId, bytes] = field(default_factory=lambda: _NONE)
    """Signatures of A under h."""
    agreed: Mapping[ClientId, bytes] = field(default_factory=lambda: _NONE)
    """Signatures under (T, h, A)."""


def evidence_to_json(found: RoundEvidence) -> Json:
    """Bytes as hexadecimal; class means as base64."""
    one = found.description
    return {
        "description": {
            **{item.name: _plain(getattr(one, item.name)) for item in fields(one)},
            "round_id": [one.round_id.counter, one.round_id.nonce.hex()],
            "watch": one.watch.name,
        },
        "plan": {"dim": found.plan.dim, "parts": [_part_to_json(p) for p in found.plan.parts]},
        "keys": {
            str(client): [
                *(key.hex() for key in keys.public_keys()), keys.randomness.hex(),
                [keys.floors.present, keys.floors.accepted, keys.floors.group],
                keys.signature.hex(),
            ]
            for client, keys in found.keys.items()
        },
        "dealt": list(found.dealt),
        "accepted": list(found.accepted),
        **{name: _hex(getattr(found, name)) for name in _BYTES},
    }  # fmt: skip


_BYTES = ("digests", "consistency", "randomness", "views", "agreed")


def evidence_from_json(raw: Mapping[str, Any]) -> RoundEvidence:
    """The inverse of :func:`evidence_to_json`.

    Raises:
        ValueError: it is not from there.
    """
    try:
        one = dict(raw["description"])
        counter, nonce = one.pop("round_id")
        hexadecimal = ("deployment", "policy", "parent", "model", "plan")
        description = RoundDescription(
            **{
                **one,
                **{name: bytes.fromhex(one[name]) for name in hexadecimal},
                "round_id": RoundId(counter, bytes.fromhex(nonce)),
                "cohort": _clients(one["cohort"]),
                "flagged": _clients(one["flagged"]),
                "watch": Watch[one["watch"]],
            }
        )
        return RoundEvidence(
            description=description,
            plan=StatisticsPlan(
                raw["plan"]["dim"], tuple(_part_from_json(p) for p in raw["plan"]["parts"])
            ),
            keys={ClientId(int(c)): _keys(row) for c, row in raw["keys"].items()},
            dealt=_clients(raw["dealt"]),
            accepted=_clients(raw["accepted"]),
            **{
                name: {ClientId(int(c)): bytes.fromhex(text) for c, text in raw[name].items()}
                for name in _BYTES
            },  # type: ignore[arg-type]
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not the evidence of a round: {error!r}") from error


def _keys(row: Any) -> AdvertisedKeys:
    encryption, update, statistics, randomness, floors, signature = row
    return AdvertisedKeys(
        bytes.fromhex(encryption), bytes.fromhex(update), bytes.fromhex(statistics),
        Digest(bytes.fromhex(randomness)), bytes.fromhex(signature), Floors(*floors),
    )  # fmt: skip


def _part_to_json(part: PlanPart) -> Json:
    match part:
        case OutputLayer(offset, length):
            return {"kind": "output-layer", "offset": offset, "length": length}
        case CountSketch(seed, rows, challenge):
            return {"kind": "count-sketch", "seed": seed.hex(), "rows": rows, "last": challenge}
        case LabelRows():
            return {
                "kind": "label-rows",
                "offset": part.offset,
                "means": base64.b64encode(part.means).decode(),
                "classes": part.classes,
                "hidden": part.hidden,
                "exponent": part.exponent,
                "source": part.source.name,
            }


def _part_from_json(raw: Mapping[str, Any]) -> PlanPart:
    match raw["kind"]:
        case "output-layer":
            return OutputLayer(raw["offset"], raw["length"])
        case "count-sketch":
            return CountSketch(bytes.fromhex(raw["seed"]), raw["rows"], raw["last"])
        case "label-rows":
            return LabelRows(
                raw["offset"], base64.b64decode(raw["means"]), raw["classes"], raw["hidden"],
                raw["exponent"], MeansSource[raw["source"]],
            )  # fmt: skip
    raise ValueError(f"a part of a plan of kind {raw['kind']}")


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return value.hex()
        case tuple():
            return [int(client) for client in value]
        case _:
            return value


def _hex(values: Mapping[ClientId, bytes]) -> dict[str, str]:
    return {str(client): value.hex() for client, value in values.items()}


def _clients(values: Any) -> tuple[ClientId, ...]:
    return tuple(ClientId(int(value)) for value in values)
