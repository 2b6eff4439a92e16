"""Both machines under a network and clients that hypothesis drives: it drops, duplicates, reorders,
lies and restarts, and looks for a history that breaks an invariant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from rounds_kit import MEANS, PARAMS, Deployment, rounding

from auror.errors import DropReason, PeerMisbehaved
from auror.ids import ClientId
from auror.params import OwnRules
from auror.round.client.machine import ClientMachine
from auror.round.client.memory import ClientMemory
from auror.round.client.state import ClientEffect, Remember, Reply, Train
from auror.round.facts import decode_memory, encode
from auror.round.messages import (
    AdvertisedKeys,
    Agreement,
    ClientMessage,
    Consistency,
    CrossMasks,
    DealtShares,
    MaskedStatistics,
    RandomnessShares,
    Receipt,
    ServerMessage,
    UpdateShares,
    Upload,
)
from auror.round.run import accept_all
from auror.round.server.context import Aborted, Finished, Opened, Send, ServerEffect
from auror.round.server.machine import RoundServer
from auror.secagg.client.unmask import OpenedShares
from auror.secagg.quantise import Quantiser
from auror.secagg.sharing import Share

N, LIAR = 5, ClientId(4)
ACCUSING = set(DropReason) - {
    DropReason.SILENT, DropReason.REFUSED, DropReason.NOT_INVITED, DropReason.UNREADABLE,
}  # fmt: skip
"""Of these a client is guilty; that too few can read its envelopes may be others' doing."""
CLIENTS = st.integers(0, N - 1).map(ClientId)


def spoiled(message: ClientMessage, where: int) -> ClientMessage:
    """A lie of client 4 about whatever it was going to say."""
    match message:
        case Upload(payload):
            return replace(message, payload=payload[:-1] + bytes([payload[-1] ^ 1]))
        case MaskedStatistics(payload, signature) if payload:
            words = np.frombuffer(payload, dtype="<u8").copy()
            words[where % len(words)] += np.uint64(1)
            return MaskedStatistics(words.tobytes(), signature)
        case RandomnessShares(shares):
            first = min(shares)
            return RandomnessShares({**shares, first: Share(bytes(33), shares[first].salt)})
        case UpdateShares(shares):
            seeds = dict(shares.self_seeds)
            for owner in list(seeds)[:1]:
                seeds[owner] = Share(bytes(33), seeds[owner].salt)
            return UpdateShares(OpenedShares(seeds, shares.mask_keys))
        case CrossMasks(images) if images:
            peer = min(images)
            changed = bytes([images[peer][0] ^ 1]) + images[peer][1:]
            return CrossMasks({**images, peer: changed})
        case AdvertisedKeys() | DealtShares() | Receipt() | Consistency() | Agreement():
            signature = bytes([message.signature[0] ^ 1]) + message.signature[1:]
            return replace(message, signature=signature)
        case _:
            return message


class Rounds(RuleBasedStateMachine):
    """One round at a time; ``wires`` hold messages under way, in any order the search likes."""

    @initialize(seed=st.integers(0, 50), lying=st.booleans())
    def begin(self, seed: int, lying: bool) -> None:
        params = replace(PARAMS, group_size=2)
        self.kit = Deployment(N, seed, params)
        self.memories = {c: ClientMemory() for c in self.kit.everybody}
        self.machines = {c: self.kit.machine(c) for c in self.kit.everybody}
        self.updates = self.kit.updates()
        self.lying, self.counter = lying, -1
        self.restarted: set[ClientId] = set()
        self.said: dict[ClientId, list[ClientMessage]] = {c: [] for c in self.kit.everybody}
        self.next_round()

    def next_round(self) -> None:
        self.counter += 1
        start = self.kit.start(self.counter, step=self.counter)
        self.server = RoundServer(start, self.kit.policy, {})
        self.down: list[tuple[ClientId, ServerMessage]] = []
        self.up: list[tuple[ClientId, ClientMessage]] = []
        self.old: list[tuple[ClientId, ClientMessage]] = []
        self.blamed: set[ClientId] = set()
        self.finished: Any = None
        for said in self.said.values():
            said.clear()
        self.serve(self.server.start())

    def serve(self, effects: list[ServerEffect]) -> None:
        queue = list(effects)
        while queue:
            match queue.pop(0):
                case Send(to, message):
                    self.down += [(client, message) for client in to]
                case Opened(groups, plan):
                    queue += self.server.on_decision(accept_all(groups, plan))
                case Finished(total):
                    self.finished = total
                case Aborted():
                    self.finished = None
                case _:
                    pass

    def answer(self, client: ClientId, effects: list[ClientEffect]) -> None:
        for effect in effects:
            match effect:
                case Remember(memory):
                    self.memories[client] = decode_memory(encode(memory))
                case Reply(message):
                    self.said[client].append(message)
                    self.up.append((client, message))
                case Train():
                    update = self.updates[client]
                    seed = rounding(client, self.counter)
                    self.answer(client, self.machines[client].on_update(update, seed, MEANS))
                case _:
                    pass

    # What the network may do --------------------------------------------------------------------

    @precondition(lambda self: self.down)
    @rule(at=st.integers(0, 99))
    def tell(self, at: int) -> None:
        client, message = self.down.pop(at % len(self.down))
        self.answer(client, self.machines[client].on_message(message))

    @precondition(lambda self: self.down)
    @rule()
    def tell_everybody(self) -> None:
        for _ in range(len(self.down)):
            self.tell(0)

    @precondition(lambda self: self.up)
    @rule(at=st.integers(0, 99), keep=st.booleans(), where=st.integers(0, 9), lie=st.booleans())
    def hear(self, at: int, keep: bool, where: int, lie: bool) -> None:
        client, message = self.up.pop(at % len(self.up))
        if keep:
            self.old.append((client, message))  # to arrive once more, much later
        if lie and self.lying and client == LIAR:
            message = spoiled(message, where)
        self.serve(self.server.on_message(client, message))

    @precondition(lambda self: self.up)
    @rule()
    def hear_everybody(self) -> None:
        for _ in range(len(self.up)):
            client, message = self.up.pop(0)
            self.serve(self.server.on_message(client, message))

    @precondition(lambda self: self.old)
    @rule(at=st.integers(0, 99))
    def hear_again(self, at: int) -> None:
        client, message = self.old[at % len(self.old)]
        self.serve(self.server.on_message(client, message))

    @precondition(lambda self: self.down)
    @rule(at=st.integers(0, 99))
    def tell_twice(self, at: int) -> None:
        client, message = self.down[at % len(self.down)]
        self.answer(client, self.machines[client].on_message(message))

    @precondition(lambda self: self.up)
    @rule(at=st.integers(0, 99))
    def lose(self, at: int) -> None:
        self.up.pop(at % len(self.up))

    @rule(steps=st.integers(1, 10), lies=st.sets(st.integers(0, 9)), where=st.integers(0, 9))
    def go_on(self, steps: int, lies: set[int], where: int) -> None:
        """Whole phases without trouble, but for lies of client 4."""
        for step in range(steps):
            self.tell_everybody()
            for _ in range(len(self.up)):
                client, message = self.up.pop(0)
                if self.lying and client == LIAR and step in lies:
                    message = spoiled(message, where)
                self.serve(self.server.on_message(client, message))

    @rule(hasty=st.integers(0, 9))
    def deadline(self, hasty: int) -> None:
        """Mostly when nothing is under way any more: else few rounds would get anywhere."""
        if hasty == 0 or not (self.down or self.up):
            self.serve(self.server.on_deadline())

    @precondition(lambda self: len(self.restarted) < 2)
    @rule(client=CLIENTS)
    def restart(self, client: ClientId) -> None:
        """The process dies; what it made durable is all that is left."""
        self.restarted.add(client)
        self.machines[client] = ClientMachine(
            client, self.kit.keys[client], self.kit.policy, OwnRules(),
            self.memories[client], self.kit.entropy("again", client, self.counter), lambda: 0.0,
        )  # fmt: skip

    @precondition(lambda self: self.lying)
    @rule()
    def unreadable(self) -> None:
        fault = PeerMisbehaved(LIAR, DropReason.MALFORMED, "test")
        self.serve(self.server.on_fault(fault))

    @precondition(lambda self: self.server.over and self.counter < 2)
    @rule()
    def another_round(self) -> None:
        self.next_round()

    # What must hold whatever happened -----------------------------------------------------------

    @invariant()
    def nobody_honest_is_accused(self) -> None:
        if not hasattr(self, "server"):
            return
        honest = set(self.kit.everybody) - ({LIAR} if self.lying else set())
        accused = {c for c, why in self.server.summary.dropped.items() if why in ACCUSING}
        assert not accused & honest
        for mark in self.server.summary.marks:
            assert not set(mark.clients) <= honest

    @invariant()
    def no_total_is_wrong(self) -> None:
        if getattr(self, "finished", None) is None:
            return
        quantiser = Quantiser(12, 1.0)
        plain = np.sum(
            [quantiser.quantise(self.updates[c], rounding(c, self.counter)).astype(np.int64)
             for c in self.finished.accepted], axis=0,
        )  # fmt: skip
        assert np.array_equal(self.finished.total, plain)

    @invariant()
    def no_client_opens_both_or_signs_twice(self) -> None:
        for client, messages in getattr(self, "said", {}).items():
            opened = [m.shares for m in messages if isinstance(m, UpdateShares)]
            seeds = {owner for shares in opened for owner in shares.self_seeds}
            keys = {owner for shares in opened for owner in shares.mask_keys}
            assert not seeds & keys, client
            for signed in (Receipt, Consistency, MaskedStatistics, Agreement):
                assert len({m.signature for m in messages if isinstance(m, signed)}) <= 1


def searched(histories: int) -> settings:
    return settings(
        max_examples=histories,
        stateful_step_count=40,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


class TestRounds(Rounds.TestCase):  # type: ignore[misc]
    settings = searched(40)


@pytest.mark.slow
class TestMoreRounds(Rounds.TestCase):  # type: ignore[misc]
    settings = searched(1000)
