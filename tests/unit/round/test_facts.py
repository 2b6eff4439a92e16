"""Facts: what is written comes back, and nothing else is read."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import get_args

import pytest

from auror.ids import ClientId, Digest, RoundId
from auror.round.client.memory import ClientMemory
from auror.round.facts import (
    KINDS,
    Attempted,
    DealersFixed,
    Fact,
    GroupsDrawn,
    Marked,
    RoundBegun,
    SetAccepted,
    SumsOpened,
    UnmaskingBegun,
    UploadKept,
    UploadsFixed,
    decode,
    decode_memory,
    encode,
)

ONE, TWO = ClientId(1), ClientId(2)
DIGEST = Digest(bytes(range(32)))
FACTS: tuple[Fact, ...] = (
    RoundBegun(RoundId(7, bytes(range(16))), DIGEST, (ONE, TWO), 1, 3, 0, DIGEST, DIGEST),
    UploadKept(TWO, DIGEST),
    DealersFixed((ONE, TWO)),
    Attempted(True, False),
    UploadsFixed(DIGEST),
    GroupsDrawn(b"seed", DIGEST, ((ONE,), (TWO,)), True),
    SumsOpened((ONE, TWO), ((ONE, TWO), ())),
    SetAccepted(()),
    UnmaskingBegun(),
    Marked(((ONE,), (ONE, TWO))),
    ClientMemory(counter=3, model="ab", total_helped=True, signed=MappingProxyType({"view": "c"})),
)


def test_every_kind_of_fact_is_here_and_has_a_name() -> None:
    assert {type(fact) for fact in FACTS} == set(get_args(Fact)) == set(KINDS.values())


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_a_fact_comes_back(fact: Fact) -> None:
    line = encode(fact)
    assert "\n" not in line
    assert decode(line) == fact
    assert encode(decode(line)) == line


def test_bytes_are_hexadecimal_and_names_are_those_of_the_fields() -> None:
    assert json.loads(encode(FACTS[0])) == {
        "kind": "round",
        "round_id": {"counter": 7, "nonce": bytes(range(16)).hex()},
        "transcript": DIGEST.hex(),
        "cohort": [1, 2],
        "era": 1,
        "step": 3,
        "attempt": 0,
        "model": DIGEST.hex(),
        "parent": DIGEST.hex(),
    }


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_a_missing_field_is_refused(fact: Fact) -> None:
    whole = json.loads(encode(fact))
    for name in whole:
        with pytest.raises(ValueError, match="not a"):
            decode(json.dumps({k: v for k, v in whole.items() if k != name}))


@pytest.mark.parametrize(
    "line",
    [
        "",
        '{"kind": "op',
        "[]",
        "7",
        '{"kind": ["round"]}',
        '{"kind": "unheard-of"}',
        '{"kind": "ended", "counter": "7"}',
        '{"kind": "ended", "counter": true}',
        '{"kind": "ended", "counter": 7.0}',
        '{"kind": "attempt", "disputed": 1}',
        '{"kind": "dealt", "dealt": 1}',
        '{"kind": "dealt", "dealt": [[1]]}',
        '{"kind": "uploaded", "digest": "xy"}',
        '{"kind": "uploaded", "digest": 7}',
        '{"kind": "round", "round_id": 7, "transcript": "", "cohort": []}',
        '{"kind": "round", "round_id": {"counter": 0, "nonce": ""}, "transcript": "", "cohort": 0}',
    ],
)
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        decode(line)


def test_a_memory_is_no_other_fact() -> None:
    memory = FACTS[-1]
    assert decode_memory(encode(memory)) == memory
    with pytest.raises(ValueError, match="not a client's memory: UnmaskingBegun"):
        decode_memory(encode(UnmaskingBegun()))
