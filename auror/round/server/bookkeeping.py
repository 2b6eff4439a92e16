"""What the server's machine notes beside its state: who was dropped and why, who has answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from auror.errors import DropReason, PeerMisbehaved, Refusal
from auror.ids import ClientId, Digest
from auror.round.messages import ClientMessage, ServerMessage, Upload
from auror.round.public import upload_digest
from auror.round.record import Mark, MarkKind
from auror.round.server.context import Dropped, Send

PROVEN: dict[DropReason, MarkKind] = {
    DropReason.BAD_COMMITMENT: MarkKind.COMMITMENT,
    DropReason.BAD_DEALING: MarkKind.COMMITMENT,
    DropReason.FALSE_RECEIPT: MarkKind.COMMITMENT,
    DropReason.BAD_SIGNATURE: MarkKind.FAULT,
    DropReason.BAD_DIGEST: MarkKind.FAULT,
    DropReason.MALFORMED: MarkKind.FAULT,
    DropReason.EQUIVOCATION: MarkKind.FAULT,
}
"""What no client does that follows the protocol, whatever others do: it is not invited again."""


@dataclass
class Misconduct:
    """Over the whole round."""

    dropped: dict[ClientId, DropReason] = field(default_factory=dict)
    refusals: dict[ClientId, Refusal] = field(default_factory=dict)
    """What those said who would not go on."""
    marks: list[Mark] = field(default_factory=list)
    late: set[ClientId] = field(default_factory=set)
    """Silent at a deadline, and heard of later."""

    def hear(self, client: ClientId) -> None:
        """Something came of a client that was dropped."""
        if self.dropped[client] is DropReason.SILENT:
            self.late.add(client)

    def book(self, fault: PeerMisbehaved) -> Dropped:
        """Drop its client, and mark it if it cannot have followed the protocol."""
        self.dropped[fault.client] = fault.reason
        if fault.refusal is not None:
            self.refusals[fault.client] = fault.refusal
        kind = PROVEN.get(fault.reason)
        if kind is not None:
            self.marks.append(Mark(kind, (fault.client,)))
        return Dropped(fault.client, fault.reason, fault.detail, fault.refusal)


@dataclass
class Answers:
    """In one phase: who is waited for, what was asked of whom, and what came."""

    transcript: Digest
    """T"""
    asked: dict[ClientId, ServerMessage] = field(default_factory=dict)
    waiting: set[ClientId] = field(default_factory=set)
    _given: dict[ClientId, ClientMessage] = field(default_factory=dict)

    def begin(self, asked: dict[ClientId, ServerMessage], waiting: Iterable[ClientId]) -> None:
        """A new phase."""
        self.asked, self.waiting, self._given = asked, set(waiting), {}

    @property
    def count(self) -> int:
        """How many have answered."""
        return len(self._given)

    def keep(self, sender: ClientId, message: ClientMessage) -> None:
        """What was taken; of an upload its digest, which was checked then, not its megabytes."""
        if isinstance(message, Upload):
            message = replace(message, payload=message.digest)
        self._given[sender] = message
        self.waiting.discard(sender)

    def given_by(self, client: ClientId) -> ClientMessage | None:
        """Its answer; of an upload, what is kept to recognise it."""
        return self._given.get(client)

    def repeats(self, sender: ClientId, message: ClientMessage) -> bool:
        """Whether this is the answer that it has given."""
        if isinstance(message, Upload):
            digest = upload_digest(self.transcript, sender, message.payload)
            message = replace(message, payload=digest)
        return self._given.get(sender) == message


def sends(outgoing: Mapping[ClientId, ServerMessage]) -> list[Send]:
    """One ``Send`` a message, to everybody who gets this very message."""
    receivers: dict[int, list[ClientId]] = {}
    for client, message in outgoing.items():
        receivers.setdefault(id(message), []).append(client)
    return [Send(tuple(sorted(to)), outgoing[to[0]]) for to in receivers.values()]
