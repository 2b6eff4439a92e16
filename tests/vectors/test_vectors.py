"""The committed vectors are what the code computes; it takes and refuses what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from making import FILES, LIMITS, plain, wire_error

from auror.wire import codec
from auror.wire.limits import Kind

HERE = Path(__file__).parent


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
