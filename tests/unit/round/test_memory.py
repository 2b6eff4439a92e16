"""Rules 3 and 4: what must survive a crash is durable before anybody is told."""

from __future__ import annotations

import pytest
from lying import VICTIM
from rounds_kit import (
    Deployment,
    invite,
    play,
    refused,
)

from auror.errors import Refusal, Refused
from auror.ids import Digest
from auror.round.client.memory import ClientMemory
from auror.round.client.state import Remember, Reply
from auror.round.facts import (
    Attempted,
    DealersFixed,
    GroupsDrawn,
    RoundBegun,
    SetAccepted,
    SumsOpened,
    UnmaskingBegun,
    UploadKept,
    UploadsFixed,
    decode_memory,
    encode,
)
from auror.round.messages import (
    AcceptedSet,
    AgreementList,
    DealerList,
    RandomnessList,
    RoundStart,
    UploadList,
)
from auror.round.server.context import Persist, Send


def test_memory_refuses_to_sign_another_set_after_a_restart() -> None:
    one, two = Digest(bytes(32)), Digest(bytes([1]) * 32)
    memory = ClientMemory().joined(3).signing("agree", one, left_out=2)
    again = decode_memory(encode(memory))
    assert again.signing("agree", one, left_out=2) == memory  # the same set is not counted twice
    with pytest.raises(Refused) as error:
        again.signing("agree", two)
    assert error.value.reason is Refusal.SECOND_ANSWER
    assert again.joined(4).signing("agree", two).left_out == 2


def test_memory_is_durable_before_a_signature_leaves(nine: Deployment) -> None:
    played = play(nine)
    for effects in played.client_effects.values():
        order = [
            type(e.message).__name__ if isinstance(e, Reply) else "remember"
            for e in effects
            if isinstance(e, Reply | Remember)
        ]
        for kind in (
            "AdvertisedKeys", "Upload", "Consistency", "MaskedStatistics", "Agreement",
            "UpdateShares",
        ):  # fmt: skip
            assert order[order.index(kind) - 1] == "remember"
        memories = [e.memory for e in effects if isinstance(e, Remember)]
        assert memories[0].counter == 0
        assert memories[1].attempts == 1
        assert set(memories[2].signed) == {"uploads"}
        assert memories[2].openings == 0
        assert set(memories[3].signed) == {"uploads", "view"}
        assert memories[3].openings == 1
        assert memories[3].smallest_group == 3
        assert set(memories[4].signed) == {"uploads", "view", "agree"}
        assert not memories[4].total_helped
        assert memories[5].total_helped


def test_memory_survives_a_restart(nine: Deployment) -> None:
    machines = nine.machines()
    play(nine, machines=machines)
    memory = decode_memory(encode(machines[VICTIM].memory))
    assert memory == machines[VICTIM].memory
    assert refused(invite(nine, nine.start(0), memory)) is Refusal.ROUND_REPLAYED
    assert refused(invite(nine, nine.start(1), memory)) is Refusal.TOTAL_REPEATED
    assert invite(nine, nine.start(1, step=1), memory) is None
    with pytest.raises(ValueError, match="not a fact"):
        decode_memory("{}")


def test_server_makes_facts_durable_before_it_speaks(nine: Deployment) -> None:
    effects = play(nine).effects
    kinds = [
        type(e.fact if isinstance(e, Persist) else e.message)
        for e in effects
        if isinstance(e, Persist | Send)
    ]
    for fact, message in (
        (RoundBegun, RoundStart),
        (DealersFixed, DealerList),
        (Attempted, DealerList),
        (UploadsFixed, UploadList),
        (GroupsDrawn, RandomnessList),
        (SumsOpened, AcceptedSet),
        (SetAccepted, AcceptedSet),
        (UnmaskingBegun, AgreementList),
    ):
        assert kinds.index(fact) < kinds.index(message)
    assert kinds.count(UploadKept) == 9
    assert max(i for i, k in enumerate(kinds) if k is UploadKept) < kinds.index(UploadList)
    facts = repr([e for e in effects if isinstance(e, Persist)])
    assert "Secret" not in facts
    assert "Share" not in facts
