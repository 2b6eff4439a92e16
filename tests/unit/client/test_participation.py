"""Whether a client took part, and the one line when it did not."""

from __future__ import annotations

from typing import Any

import pytest
from auror_client.participation import Participation, check_took_part

from auror.errors import AbortReason, Refusal, UntrainedError
from auror.ids import ClientId, Digest, RoundId
from auror.round.messages import AcceptedSet, RoundEnd, RoundStart

ME, OTHER = ClientId(3), ClientId(4)
INVITATION = object.__new__(RoundStart)  # nothing in it is looked at


def name(counter: int) -> RoundId:
    return RoundId(counter, bytes(16))


def end(aborted: AbortReason | None = None, left_out: tuple[ClientId, ...] = ()) -> RoundEnd:
    return RoundEnd(Digest(bytes(32)), aborted, (), left_out)


def played(*rounds: Any) -> Participation:
    """Each round a tuple of what happens in it, in order."""
    client = Participation(ME)
    for counter, happenings in enumerate(rounds):
        client.heard(name(counter), INVITATION)
        for what in happenings:
            if isinstance(what, Refusal):
                client.gave_up(name(counter), what)
            elif isinstance(what, RoundEnd):
                client.ended(name(counter), what)
            else:
                client.heard(name(counter), what)
    return client


ACCEPTED, WITHOUT_ME = AcceptedSet((OTHER, ME), {}), AcceptedSet((OTHER,), {})
ABORTED = (end(AbortReason.TOO_FEW_UPLOADED),)


def test_one_total_with_this_client_is_enough() -> None:
    client = played(ABORTED, (ACCEPTED, end()), ABORTED)
    assert client.trained == 1
    check_took_part([client, played(ABORTED)])
    check_took_part([played(), client])


@pytest.mark.parametrize(
    ("rounds", "says"),
    [
        ([], "it was invited to no round"),
        ([()], "it was invited to no round that ended"),
        ([ABORTED, ABORTED], '2 of 2 invitations ended with "too few clients uploaded"'),
        ([(ACCEPTED, end(AbortReason.BINDING_FAILED))], "statistics do not match"),
        ([(WITHOUT_ME, end(left_out=(ME,)))], "its group was left out"),
        ([(end(),)], "it was not in the accepted set"),
        # of another round than the one that it was accepted in
        ([(ACCEPTED,), (end(),)], "it was not in the accepted set"),
        # what it refused says more than what that led to, and is counted once a round
        ([(Refusal.GROUP_TOO_SMALL, Refusal.OUT_OF_TURN, *ABORTED)] * 2, "2 of 2 .* floor"),
        ([(ACCEPTED, Refusal.QUORUM_MISSING, end())], "not enough valid signatures"),
    ],
)  # fmt: skip
def test_otherwise_the_most_frequent_reason_is_said(rounds: list[Any], says: str) -> None:
    with pytest.raises(UntrainedError, match=says) as caught:
        check_took_part([played(*rounds)])
    assert caught.value.exit_code == 7
    assert "\n" not in str(caught.value)


def test_a_server_that_stops_owes_no_round_to_who_was_invited_to_none() -> None:
    client = Participation(ME)
    check_took_part([client], finished=False)
    with pytest.raises(UntrainedError, match="finished without this client"):
        check_took_part([client])
    client.gave_up(name(0), Refusal.GROUP_TOO_SMALL)
    with pytest.raises(UntrainedError, match="the server stopped before the end and no round"):
        check_took_part([client], finished=False)


def test_reasons_of_many_clients_are_added() -> None:
    refusing = played((Refusal.GROUP_TOO_SMALL, *ABORTED))
    with pytest.raises(UntrainedError, match=r"2 of 3 invitations .* floor"):
        check_took_part([refusing, played(ABORTED), refusing])


def test_an_invitation_that_comes_twice_counts_once() -> None:
    client = played(ABORTED, (INVITATION, *ABORTED))
    assert client.invited == 2
