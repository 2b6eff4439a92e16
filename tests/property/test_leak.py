"""After every step of random rounds: the server can derive what it was promised and no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from knowledge import Observer, spans, together
from rounds_kit import PARAMS, Deployment, Played, play

from auror.ids import ClientId, GroupIndex
from auror.round.messages import CrossMasks, MaskedStatistics
from auror.round.run import PHASE_OF
from auror.round.server.context import Decision, Phase
from auror.round.server.machine import RoundServer
from auror.round.server.p0_advertise import WithKeys
from auror.secagg.instance import SecretKind


def invariant(seen: Observer) -> None:
    summary, topology = seen.server.summary, seen.context.topology
    opened = [group for group in summary.groups if seen.sent >= set(group) - seen.colluders]
    assert spans(seen.allowed([summary.accepted]), seen.about_updates())
    derived = seen.about_statistics()
    assert spans(seen.allowed(opened), derived)
    for client in seen.sent - seen.colluders:
        assert together(derived, set(seen.company(client)[0]) - seen.colluders)
    for client in seen.context.description.cohort:
        if client not in seen.colluders:
            assert not (
                seen.knows(client, SecretKind.SELF_SEED) and seen.knows(client, SecretKind.MASK_KEY)
            )
            if seen.knows(client, SecretKind.RANDOMNESS):
                assert len(seen.consistent) >= topology.quorum


def watched_round(seed: int) -> tuple[Played, Observer, int]:
    rng = np.random.default_rng([71, seed])
    n = int(rng.integers(4, 9))
    colluders = int(rng.integers(0, n // 2))
    params = replace(PARAMS, group_size=int(rng.integers(2, n)), colluders=colluders)
    deployment = Deployment(n, seed, params)
    bad = frozenset(ClientId(int(c)) for c in rng.choice(n, size=colluders, replace=False))
    silent = int(rng.integers(0, max(1, (n - colluders) // 2)))
    lost = {
        ClientId(int(c)): Phase(int(rng.integers(1, 10)))
        for c in rng.choice(n, size=silent, replace=False)
    }
    liar = ClientId(int(rng.integers(n))) if rng.random() < 0.3 else None
    drop_group = GroupIndex(int(rng.integers(0, 3))) if rng.random() < 0.5 else None
    server: list[RoundServer] = []
    steps = 0

    def decide(groups: object, plan: object) -> Decision:
        left = {g.index: "test" for g in groups if g.index == drop_group}  # type: ignore[attr-defined]
        return Decision(tuple(g.index for g in groups if g.index not in left), left)  # type: ignore[attr-defined]

    def overhear(client: ClientId, message: object) -> object:
        nonlocal steps
        gone = lost.get(client)
        phase = PHASE_OF.get(type(message))  # type: ignore[arg-type]
        if gone is not None and phase is not None and phase.value >= gone.value:
            return None
        if client == liar and isinstance(message, MaskedStatistics) and message.payload:
            words = np.frombuffer(message.payload, dtype="<u8").copy()
            words[:1] += np.uint64(1)
            message = replace(message, payload=words.tobytes())
        seen.hear(client, message)  # type: ignore[arg-type]
        if isinstance(seen.server.state, WithKeys):
            invariant(seen)
        steps += 1
        return message

    original = RoundServer.__init__

    def remember(self: RoundServer, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)  # type: ignore[arg-type]
        server.append(self)
        seen.context, seen.server = self.context, self

    seen = Observer(None, bad)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RoundServer, "__init__", remember)
        played = play(deployment, to_server=overhear, decide=decide)  # type: ignore[arg-type]
    invariant(seen)
    return played, seen, steps


@pytest.mark.parametrize(
    "block", [0, 1, *(pytest.param(block, marks=pytest.mark.slow) for block in (2, 3))]
)
def test_the_server_derives_opened_group_sums_and_the_total_and_nothing_else(block: int) -> None:
    finished = localised = 0
    for seed in range(15 * block, 15 * (block + 1)):
        played, seen, _steps = watched_round(seed)
        if played.total is not None:
            finished += 1
            # and it does derive them: the invariant is not true for want of knowledge
            assert spans(seen.about_updates(), [{("input", c): 1 for c in played.total.accepted}])
        for group in played.summary.opened:
            assert spans(seen.about_statistics(), [{("input", c): 1 for c in group.members}])
        localised += any(played.said(CrossMasks).values())
    assert finished >= 5


def test_a_planted_leak_is_caught() -> None:
    """One more kind of share of one client, or one mask too many, and the invariant fails."""
    for seed in range(40):
        played, seen, _ = watched_round(seed)
        if played.total is None or seen.colluders:
            continue
        victim = played.total.accepted[0]
        everybody = set(played.summary.dealt)
        seen.holders[victim, SecretKind.MASK_KEY] = everybody
        with pytest.raises(AssertionError):
            invariant(seen)
        del seen.holders[victim, SecretKind.MASK_KEY]
        invariant(seen)
        seen.images |= {frozenset((victim, peer)) for peer in everybody - {victim}}
        with pytest.raises(AssertionError):
            invariant(seen)
        return
    pytest.fail("no round finished")
