"""A client killed between any two messages of a round, and a server that goes on with it: nothing
but what it made durable is left, and it says nothing more in that round, whatever it is told.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from rounds_kit import Deployment, Played, answer, play, refused, rounding
from told import VICTIM

from auror.errors import Refusal
from auror.ids import ClientId
from auror.params import OwnRules
from auror.round.client.machine import ClientMachine
from auror.round.client.memory import ClientMemory
from auror.round.client.state import ClientEffect, GaveUp, Remember, Reply
from auror.round.facts import decode_memory, encode
from auror.round.messages import AdvertisedKeys, RoundEnd, ServerMessage, Withdraw

MESSAGES = 9
"""That a client is told in a round with a total, before its end."""


@pytest.fixture(scope="module")
def kit() -> Deployment:
    return Deployment(9)


@pytest.fixture(scope="module")
def whole(kit: Deployment) -> list[ServerMessage]:
    return told(play(kit))


@pytest.fixture(scope="module")
def other(kit: Deployment, whole: list[ServerMessage]) -> list[ServerMessage]:
    """Another world behind the same invitation: nobody ever heard of client 8."""
    found = told(play(kit, to_server=lambda who, said: said if who != ClientId(8) else None))
    assert all(mine != others for mine, others in zip(whole[1:], found[1:], strict=True))
    return found


def told(played: Played) -> list[ServerMessage]:
    """The victim, until the round's end."""
    assert played.total is not None
    found = [m for c, m in played.told if c == VICTIM and not isinstance(m, RoundEnd)]
    assert len(found) == MESSAGES
    return found


def tell(
    kit: Deployment, machine: ClientMachine, messages: Iterable[ServerMessage]
) -> list[ClientEffect]:
    update = kit.updates()[VICTIM]
    return [e for m in messages for e in answer(machine, m, update, rounding(VICTIM))]


def kill(
    kit: Deployment, messages: list[ServerMessage]
) -> tuple[list[ClientEffect], ClientMachine]:
    """What the victim did when it was told ``messages``, and a new process, to which the old one
    left what it had made durable."""
    effects = tell(kit, kit.machine(VICTIM), messages)
    kept = [effect.memory for effect in effects if isinstance(effect, Remember)]
    memory = decode_memory(encode(kept[-1] if kept else ClientMemory()))
    identity = (VICTIM, kit.keys[VICTIM], kit.policy, OwnRules())
    return effects, ClientMachine(*identity, memory, kit.entropy("again"), lambda: 0.0)


def replies(effects: list[ClientEffect]) -> list[object]:
    """What was said beside that it gives up."""
    said = [effect.message for effect in effects if isinstance(effect, Reply)]
    return [message for message in said if not isinstance(message, Withdraw)]


@pytest.mark.parametrize("killed", range(1, MESSAGES + 1))
@pytest.mark.parametrize("world", ["whole", "other"])
@pytest.mark.parametrize("from_there", [True, False])
def test_who_was_killed_in_a_round_says_nothing_more_in_it(
    kit: Deployment, killed: int, world: str, from_there: bool, request: pytest.FixtureRequest
) -> None:
    """It is asked what it answered last, and all that follows; or all of the round again."""
    whole, then = request.getfixturevalue("whole"), request.getfixturevalue(world)
    _, again = kill(kit, whole[:killed])
    kept = again.memory
    effects = tell(kit, again, then[killed - 1 :] if from_there else then)
    assert replies(effects) == []
    assert again.memory == kept
    assert not any(isinstance(effect, Remember) for effect in effects)
    if not from_there or killed == 1:
        assert any(isinstance(e, GaveUp) and e.refusal is Refusal.ROUND_REPLAYED for e in effects)


@pytest.mark.parametrize("killed", range(1, MESSAGES + 1))
def test_who_was_killed_in_a_round_joins_the_next_with_new_secrets(
    kit: Deployment, whole: list[ServerMessage], killed: int
) -> None:
    before, again = kill(kit, whole[:killed])
    joined = tell(kit, again, [kit.start(1, step=1)])
    old, new = (
        next(m for m in replies(effects) if isinstance(m, AdvertisedKeys))
        for effects in (before, joined)
    )
    assert not set(keys(old)) & set(keys(new))


@pytest.mark.parametrize("killed", range(1, MESSAGES + 1))
def test_a_step_whose_total_may_be_open_is_not_begun_again(
    kit: Deployment, whole: list[ServerMessage], killed: int
) -> None:
    """Two totals of the same updates differ by whoever was left out of one."""
    _, again = kill(kit, whole[:killed])
    tried = tell(kit, again, [kit.start(1, step=0, attempt=again.memory.attempts)])
    found = next((effect for effect in tried if isinstance(effect, GaveUp)), None)
    assert refused(found) is (Refusal.TOTAL_REPEATED if killed == MESSAGES else None)


def keys(said: AdvertisedKeys) -> tuple[bytes, ...]:
    return (said.encryption, said.update_mask, said.statistics_mask, said.randomness)
