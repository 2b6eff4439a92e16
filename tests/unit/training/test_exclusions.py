"""What is kept of an exclusion, and from when on: never while an accusation is being confirmed."""

from __future__ import annotations

from campaign_kit import Run, lying, says

from auror.defence.verdict import DecodedVerdict, Indication, VerdictParams
from auror.ids import ClientId
from auror.round.messages import ExclusionCause
from auror.training import exclusions
from auror.training.config import AfterFlag
from auror.training.state import CampaignState


def test_an_accused_client_is_told_nothing_until_its_flag_falls() -> None:
    run = Run(rounds=5, flags={1: {4}}, after_flag=AfterFlag.CONTINUE)
    told = []
    while run.round() is not None:
        told.append(dict(run.campaign.state.exclusions))
    assert [set(one) for one in told] == [set(), set(), set(), {4}, {4}]
    found = told[-1][ClientId(4)]
    assert (found.cause, found.rounds, found.audits) == (ExclusionCause.FLAG, 4, 3)
    state = run.campaign.state
    back = CampaignState.from_dict(state.to_dict(), state.tensors(), state.ledger.rounds)
    assert back.exclusions == state.exclusions


def test_a_proven_liar_is_told_that_there_is_proof() -> None:
    run = Run(rounds=6, params={"max_attempts": 9})
    for _ in range(8):
        if 2 in run.campaign.uninvited:
            break
        run.round(lying)
    assert run.campaign.state.exclusions == {ClientId(2): exclusions.PROVEN}


def test_the_classes_are_those_of_the_reading_that_accuses_the_client() -> None:
    def indication(source: int | None, target: int, *clients: int) -> Indication:
        return Indication("", target, source, 9.0, 1.0, tuple(map(ClientId, clients)))

    verdict = DecodedVerdict(
        clients=(),
        flagged=frozenset(map(ClientId, (1, 2, 3))),
        doubted=frozenset(),
        indications=(indication(4, 9, 1), indication(None, 7, 2)),
        source=4,
        target=9,
        strength=12.0,
        required=8.0,
        rounds=(0, 1),
        groups=6,
        params=VerdictParams(),
    )
    told = {c: exclusions.flagged(ClientId(c), verdict, 2, 3) for c in (1, 2, 3)}
    assert [(told[c].source, told[c].target) for c in (1, 2, 3)] == [
        (4, 9),
        (None, 7),
        (None, None),
    ]
    assert {(one.strength, one.required) for one in told.values()} == {(12.0, 8.0)}
    plain = exclusions.flagged(ClientId(1), says(1), 2, 3)
    assert (plain.source, plain.target, plain.strength) == (None, None, None)
