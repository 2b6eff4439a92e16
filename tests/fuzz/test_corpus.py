"""The corpus, and cheap mutations of it, through every parser: what once broke stays mended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from targets import KINDS, LIMITS, OPERATOR, TARGETS

from auror.deployment.credentials import POLICY_FILE
from auror.deployment.policy_file import parse_policy
from auror.errors import AuthenticationFailed
from auror.wire import codec
from auror.wire.limits import Kind

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file())


def test_every_parser_has_a_corpus_and_every_corpus_a_parser() -> None:
    assert {path.parent.name for path in FILES} == TARGETS.keys()


@pytest.mark.parametrize("kind", Kind)
def test_every_message_has_a_seed_that_decodes(kind: Kind) -> None:
    """Of the version that the code speaks: a corpus that nothing decodes fuzzes only headers."""
    seed = (CORPUS / "message" / kind.field).read_bytes()
    assert KINDS[seed[0]] is kind
    decode = codec.decode_client if kind.from_client else codec.decode_server
    assert codec.kind_of(decode(kind, seed[1:], LIMITS)) is kind


def test_the_seed_of_the_policy_is_signed_by_the_operator_of_the_targets() -> None:
    parse_policy((CORPUS / "policy" / POLICY_FILE).read_bytes()).verify(OPERATOR)
    with pytest.raises(AuthenticationFailed):
        parse_policy((CORPUS / "policy" / "unsigned").read_bytes()).verify(OPERATOR)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_parser_accepts_or_refuses(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_of_the_corpus_are_accepted_or_refused(name: str) -> None:
    rng = np.random.default_rng([6, len(name)])
    seeds = [path.read_bytes() for path in FILES if path.parent.name == name]
    for seed in seeds:
        for _ in range(max(4, 120 // len(seeds))):
            TARGETS[name](mutated(seed, rng))


def mutated(seed: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(seed)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(0, len(data) + 1))
        match int(rng.integers(5)):
            case 0 if data:
                data[at % len(data)] ^= 1 << int(rng.integers(8))
            case 1:
                data[at:at] = rng.bytes(int(rng.integers(1, 9)))
            case 2:
                del data[at : at + int(rng.integers(1, 9))]
            case 3:
                data[at:at] = data[max(0, at - 16) : at]
            case _:
                del data[at:]
    return bytes(data)
