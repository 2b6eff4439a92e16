"""The search for secrets finds what was written somewhere, in the forms that programs write."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from canaries import Canaries, deployment_keys
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

KEY = bytes.fromhex("8f1c00e27d5b22a94e0a6b5cf7115c270d9982ee31b6c4d5f00a7be3915d6e88")
UPDATE = np.array([0.25, -0.5, 0.0, 0.109375, -0.015625, 0.5, 0.328125, -0.25], dtype="<f4")
CANARIES = Canaries([("key", KEY), ("update", UPDATE.tobytes())])
AROUND = os.urandom(4096)

FORMS: dict[str, Callable[[], bytes]] = {
    "raw": lambda: KEY,
    "hex": lambda: KEY.hex().encode(),
    "upper hex": lambda: KEY.hex().upper().encode(),
    "hex that begins half a byte early": lambda: b"a" + KEY.hex().encode() + b"b",
    "base64": lambda: base64.b64encode(KEY),
    "base64 of more": lambda: base64.b64encode(b"ab" + KEY + b"cdef"),
    "base64 for addresses": lambda: base64.urlsafe_b64encode(KEY),
    "base64 in lines": lambda: base64.encodebytes(AROUND[:50] + KEY),
    "repr": lambda: repr(KEY).encode(),
    "json": lambda: json.dumps(KEY.decode("latin-1")).encode(),
    "numbers": lambda: str(list(KEY)).encode(),
    "array": lambda: str(np.frombuffer(KEY, dtype=np.uint8)).encode(),
    "a number, little": lambda: str(int.from_bytes(KEY, "little")).encode(),
    "a number, big": lambda: str(int.from_bytes(KEY, "big")).encode(),
    "an update": UPDATE.tobytes,
    "an update in JSON": lambda: json.dumps(UPDATE.tolist()).encode(),
    "an update printed": lambda: repr(UPDATE).encode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("offset", range(9))
def test_a_planted_secret_is_found_in_every_form_and_place(form: str, offset: int) -> None:
    planted = AROUND[:offset] + b" " + FORMS[form]() + b" " + AROUND[offset:]
    assert {kind for kind, _ in CANARIES.in_bytes(planted)} == {
        "update" if "update" in form else "key"
    }


def test_nothing_is_found_where_nothing_is() -> None:
    assert not CANARIES.in_bytes(AROUND)
    assert not CANARIES.in_bytes(b"")
    assert not CANARIES.in_bytes(KEY[:-1])
    assert not CANARIES.in_bytes(bytes(100_000))


def test_files_and_cells_are_searched_and_what_is_left_out_is_not(tmp_path: Path) -> None:
    kept = tmp_path / "certs" / "key"
    kept.parent.mkdir()
    kept.write_bytes(KEY)
    (tmp_path / "log").write_bytes(b"all is well")
    assert CANARIES.search(tmp_path, [kept.parent]) == ([], 11)
    (tmp_path / "log").write_text(f"key={KEY.hex()}")
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        database.execute("CREATE TABLE facts (body BLOB)")
        # so large that the key lies across two pages of the file
        database.execute("INSERT INTO facts VALUES (?)", (AROUND[:4050] + KEY + AROUND,))
        database.commit()
    hits, _size = CANARIES.search(tmp_path, [kept.parent])
    assert {(hit.path.name, hit.kind) for hit in hits} == {("log", "key"), ("state.db", "key")}


def test_a_deployments_keys_are_what_its_files_hold(tmp_path: Path) -> None:
    key = ec.derive_private_key(int.from_bytes(KEY, "big") >> 8, ec.SECP256R1())
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (tmp_path / "ca.pem").write_text("no key of anybody")
    found = Canaries(deployment_keys(tmp_path))
    assert found.counts() == {"TLS key": 1}
    assert found.search(tmp_path)[0][0].form == "base64"
