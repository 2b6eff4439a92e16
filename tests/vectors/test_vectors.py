"""The committed vectors are what the code computes; it takes and refuses what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from earlier import EARLIER
from making import FILES, LIMITS, OPERATIONS, plain, wire_error
from playing import play

from auror.errors import AbortReason, DropReason, Refusal
from auror.round.description import PROTOCOL_VERSION
from auror.wire import codec
from auror.wire.limits import Kind

HERE = Path(__file__).parent


OPERATION_LISTS = json.loads((HERE / OPERATIONS).read_text())


def committed(name: str) -> dict[str, object]:
    return json.loads((HERE / name).read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", FILES)
def test_the_committed_vectors_are_what_the_code_computes(name: str) -> None:
    """A difference is a change of the protocol: if it is meant, run `make vectors` and say so."""
    assert json.loads(json.dumps(FILES[name]())) == committed(name)


@pytest.mark.parametrize("kind", Kind)
def test_every_message_decodes_to_its_fields_and_encodes_to_its_bytes(kind: Kind) -> None:
    entry = committed("messages.json")[kind.field]
    assert isinstance(entry, dict)
    body = bytes.fromhex(entry["bytes"])
    if kind.from_client:
        sent = codec.decode_client(kind, body, LIMITS)
        assert codec.encode_client(sent) == body
        assert json.loads(json.dumps(plain(sent))) == entry["fields"]
    else:
        told = codec.decode_server(kind, body, LIMITS)
        assert codec.encode_server(told) == body
        assert json.loads(json.dumps(plain(told))) == entry["fields"]


def test_negative_vectors_are_refused_for_the_reason_they_give() -> None:
    assert "accepted" not in committed("primitives_bad.json").values()
    bad = committed("messages_bad.json")
    assert len(bad) >= 60
    for name, entry in bad.items():
        assert isinstance(entry, dict)
        raw = entry["bytes"]
        body = bytes(raw) if isinstance(raw, int) else bytes.fromhex(raw)
        assert wire_error(Kind[entry["kind"].upper()], body) == entry["error"] != "accepted", name


@pytest.mark.parametrize("vector", OPERATION_LISTS, ids=lambda vector: vector["name"])
def test_every_operation_has_the_outcome_that_its_vector_says(vector: dict[str, Any]) -> None:
    assert play(vector) == [operation["expected"] for operation in vector["operations"]]


def test_operations_provoke_every_reason_that_the_order_of_messages_can() -> None:
    """What is left needs an invitation or a client of its own, and has a rule's test."""
    outcomes = ", ".join(o["expected"] for v in OPERATION_LISTS for o in v["operations"])
    seen = set(outcomes.split(", "))
    names = {reason.name for kind in (Refusal, DropReason, AbortReason) for reason in kind}
    assert names - seen == ELSEWHERE
    others = {"withdraw", "round_start", "round_end", "final_model", "exclusion", "new_policy"}
    assert {kind.field for kind in Kind} - seen == others
    assert len({v["name"] for v in OPERATION_LISTS}) == len(OPERATION_LISTS) >= 80


ELSEWHERE = {
    "ATTEMPTS_EXHAUSTED", "BAD_RECONSTRUCTION", "BAD_UPDATE", "BUDGET_SPENT", "DATA_UNUSABLE",
    "DEVICE_FAILED", "FORGED_MEANS", "GROUP_TOO_SMALL", "MASKS_WOULD_SHOW", "NOT_INVITED",
    "OUT_OF_MEMORY", "POLICY_EXPIRED", "RING_OVERFLOW", "SERVER_STOPPED", "STATE_UNWRITABLE",
    "STATISTICS_TOO_LARGE", "TOO_MANY_DISPUTED", "TOTAL_REPEATED", "TRAINING_FAILED",
    "UNKNOWN_ROUND", "WATCHED_TOO_OFTEN", "WRONG_CONFIGURATION", "WRONG_FLAGS", "WRONG_STEP",
}  # fmt: skip
"""Reasons that tests/unit/round and tests/unit/client provoke."""


def test_vectors_of_two_versions_differ_and_those_of_a_fixed_one_never_change() -> None:
    table = committed("versions.json")
    assert [int(version) for version in table] == list(range(1, PROTOCOL_VERSION + 1))
    now = table[str(PROTOCOL_VERSION)]
    assert isinstance(now, dict)
    files = {path.name for path in HERE.glob("*.json")} - {"versions.json"}
    assert now.keys() == files
    for version, row in EARLIER.items():
        assert table[str(version)] == row
        same = [name for name, digest in row.items() if now.get(name) == digest]
        assert version == PROTOCOL_VERSION or not {"round.json", "messages.json"} & set(same)
