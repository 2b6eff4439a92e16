"""Every parser of bytes that somebody else made, as one function each: it must accept or refuse
with the error it documents, and never anything else. ``scripts/fuzz.py`` drives them, the
corpus is replayed by ``test_corpus.py``."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from auror_client.config import ClientConfig
from auror_client.journal import Journal
from auror_server.config import ServerConfig
from google.protobuf.message import DecodeError

from auror.crypto.kex import check_public_key
from auror.crypto.signing import SigningKey, verify
from auror.crypto.tags import Tag
from auror.defence.ledger import Ledger
from auror.defence.liability import Liability
from auror.deployment import credentials
from auror.deployment.credentials import POLICY_FILE
from auror.deployment.model_file import read_model
from auror.deployment.policy_file import parse_policy, policy_json
from auror.deployment.released import read_released
from auror.deployment.settings import load
from auror.errors import AuthenticationFailed, UserError
from auror.experiments.runfolder import read_run
from auror.ids import ClientId, Digest
from auror.params import PlanCaps, RoundParams
from auror.round.client.memory import ClientMemory
from auror.round.facts import decode_memory, encode
from auror.round.messages import RoundStart
from auror.round.record_json import record_from_json, record_to_json
from auror.secagg.packing import pack, unpack
from auror.secagg.sharing import Share
from auror.sim.seeded import seeded_entropy
from auror.wire import codec
from auror.wire.fields import WireError
from auror.wire.frames import Assembler
from auror.wire.limits import Kind, Limits
from auror.wire.v1 import transport_pb2 as pb

LIMITS = Limits(12, 64, 32)
OPERATOR = SigningKey.draw(seeded_entropy(1, "operator")).verify_key
"""Who signed the policy of the corpus."""
KINDS = tuple(Kind)
CAPS = PlanCaps(parts=("count-sketch", "label-rows", "output-layer"))


def message(data: bytes) -> None:
    """A first byte for the kind, then the body. What decodes encodes to a canonical form."""
    if not data:
        return
    kind, body = KINDS[data[0] % len(KINDS)], data[1:]
    try:
        if kind.from_client:
            sent = codec.decode_client(kind, body, LIMITS)
            again = codec.encode_client(sent)
            assert codec.encode_client(codec.decode_client(kind, again, LIMITS)) == again
        else:
            told = codec.decode_server(kind, body, LIMITS)
            if isinstance(told, RoundStart):
                told.description.transcript()
                told.plan.digest()
                told.plan.check(CAPS, RoundParams(), Digest(bytes(32)), told.model)
            again = codec.encode_server(told)
            assert codec.encode_server(codec.decode_server(kind, again, LIMITS)) == again
    except WireError:
        pass
    except Exception as error:  # a client's own caps refuse by another name
        if type(error).__name__ != "Refused":
            raise


def frames(data: bytes) -> None:
    """Length-prefixed frames of one peer, up to 64 KiB each."""
    for from_client in (True, False):
        assembler, rest = Assembler(from_client), data
        try:
            while len(rest) >= 2:
                size = int.from_bytes(rest[:2], "little")
                raw, rest = rest[2 : 2 + size], rest[2 + size :]
                frame = pb.ClientFrame() if from_client else pb.ServerFrame()
                frame.ParseFromString(raw)
                if frame.WhichOneof("frame") in ("header", "chunk"):
                    assembler.frame(frame, LIMITS)
        except (WireError, DecodeError):
            pass
        finally:
            assembler.close()


def packed(data: bytes) -> None:
    """Two bytes for width and length, then a packed vector."""
    if len(data) < 2:
        return
    bits, length, payload = data[0] % 32 + 1, data[1], data[2:]
    with contextlib.suppress(ValueError):
        assert pack(unpack(payload, bits, length), bits) == payload


def memory(data: bytes) -> None:
    """A client's journal, as text and as a file."""
    text = data.decode(errors="replace")
    try:
        found = decode_memory(text)
        assert decode_memory(encode(found)) == found
    except ValueError:
        pass
    with (
        tempfile.TemporaryDirectory() as name,
        Journal(Path(name), "fuzz", ClientId(0)) as journal,
    ):
        journal.load()
        journal.save(ClientMemory())
        for file in (file for file in Path(name).rglob("*") if file.is_file()):
            file.write_bytes(data)
        with contextlib.suppress(UserError):
            journal.load()


def record(data: bytes) -> None:
    """The record of one round."""
    try:
        raw = json.loads(data)
        if isinstance(raw, dict):
            found = record_from_json(raw)
            record_to_json(found)
    except (ValueError, RecursionError):
        pass


def evidence(data: bytes) -> None:
    """A ledger and the marks of a kept state."""
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(raw, dict):
        return
    for parse in (Ledger.from_dict, Liability.from_dict):
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError, OverflowError):
            parse(raw)


def keys(data: bytes) -> None:
    """Keys, signatures and shares that peers send; PEM files."""
    for attempt in (
        lambda: check_public_key(data[:32]),
        lambda: verify(data[:32], data[32:96], Tag.ADVERTISE, data[96:]),
        lambda: Share.from_bytes(data),
        lambda: SigningKey.from_pem(data),
        lambda: credentials.tls_key_digest(data),
    ):
        with contextlib.suppress(AuthenticationFailed, ValueError):
            attempt()


def policy(data: bytes) -> None:
    """policy.json in a folder that is otherwise whole; what is accepted has one text."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / POLICY_FILE).write_bytes(data)
        (folder / credentials.OPERATOR_FILE).write_bytes(credentials.operator_pem(OPERATOR))
        with contextlib.suppress(UserError):
            found = credentials.load_policy(folder)
            assert parse_policy(policy_json(found)) == found


def settings(data: bytes) -> None:
    """server.toml and client.toml."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "settings.toml"
        path.write_bytes(data)
        for model in (ServerConfig, ClientConfig):
            with contextlib.suppress(UserError):
                load(model, path, "FUZZ", {})


def run_folder(data: bytes) -> None:
    """A model file, and a folder whose files are all the same bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("model.safetensors", "config.toml", "manifest.json", "summary.json",
                     "rounds.jsonl", "verdict.json", "history.json", "released.json"):  # fmt: skip
            (folder / file).write_bytes(data)
        for read in (
            lambda: read_model(folder / "model.safetensors"),
            lambda: read_run(folder),
            lambda: read_released(folder),
        ):
            with contextlib.suppress(UserError):
                read()


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        message, frames, packed, memory, record, evidence, keys, policy, settings, run_folder
    )
}  # fmt: skip
