"""What became of the rounds that a client was invited to: did any of them train with it?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from auror.errors import Refusal, UntrainedError
from auror.ids import ClientId, RoundId
from auror.round.messages import AcceptedSet, RoundEnd, RoundStart, ServerMessage

_LEFT_OUT = "its group was left out of the total"
_LOST = "it was not in the accepted set"


class Participation:
    """One client's rounds, as its server tells them."""

    def __init__(self, me: ClientId) -> None:
        self._me = me
        self.invited = 0
        """Rounds; an invitation that is sent again over another connection counts once."""
        self.trained = 0
        """Rounds that ended with a total in which this client is."""
        self.reasons: Counter[str] = Counter()
        """Why the others did not, one reason a round: its own refusal before all others."""
        self._latest: RoundId | None = None
        self._accepted: RoundId | None = None
        self._refused: RoundId | None = None

    def heard(self, round_id: RoundId, message: ServerMessage) -> None:
        """Note a message of the server; before the machine takes it."""
        if isinstance(message, RoundStart):
            self.invited += round_id != self._latest
            self._latest = round_id
        elif isinstance(message, AcceptedSet) and self._me in message.accepted:
            self._accepted = round_id

    def gave_up(self, round_id: RoundId, refusal: Refusal) -> None:
        if self._refused != round_id:
            self._refused = round_id
            self.reasons[refusal.value] += 1

    def ended(self, round_id: RoundId, end: RoundEnd) -> None:
        if self._refused == round_id:
            return
        if end.aborted is not None:
            self.reasons[end.aborted.value] += 1
        elif self._accepted == round_id:
            self.trained += 1
        else:
            self.reasons[_LEFT_OUT if self._me in end.left_out else _LOST] += 1


def check_took_part(members: Sequence[Participation], finished: bool = True) -> None:
    """Once the session is over, or was stopped before its end.

    Raises:
        UntrainedError: no total had any of ``members``; of a session that was stopped, only if
            some round ended without them.
    """
    if any(member.trained for member in members):
        return
    invited = sum(member.invited for member in members)
    reasons = sum((member.reasons for member in members), Counter[str]())
    if not reasons:
        if finished:
            raise UntrainedError(
                "the session finished without this client: it was invited to no round that ended;"
                " it came too late, or the server does not invite it any more"
            )
        return
    reason, times = reasons.most_common(1)[0]
    over = "the session finished" if finished else "the server stopped before the end"
    raise UntrainedError(
        f"{over} and no round trained with this client: {times} of {invited}"
        f' invitations ended with "{reason}"; see the log for why'
    )
