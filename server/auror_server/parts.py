"""Uploads whose streams broke off, held until another stream goes on with them (ADR 0028).

One per identity, after its certificate and hello, and only in the round's upload phase. What no
stream has taken over lies on disk and is bounded in total.
"""

from __future__ import annotations

from auror.ids import ClientId, RoundId
from auror.wire.frames import Assembler, Begun, Body
from auror.wire.limits import Kind

WAITING_BYTES, WAITING_UPLOADS = 1 << 30, 2
"""What waits for a stream may hold on disk: so much, and so many uploads at least."""


class Parts:
    """Which stream may go on with what."""

    def __init__(self) -> None:
        self._waiting: dict[ClientId, Body] = {}
        """Of identities without a stream, in the order in which they lost it."""
        self._round_id: RoundId | None = None
        self._most = 0

    def goes_on(self, client: ClientId, older: Assembler | None, newer: Assembler) -> Begun | None:
        """A stream opens: it takes the part over, also from an ``older`` one that has not ended,
        which says nothing more. Returns what its welcome names."""
        part = self._waiting.pop(client, None) if older is None else older.hand_over()
        if part is None or not self._is_wanted(part):
            return None
        newer.hold(part)
        return part.begun

    def breaks_off(self, client: ClientId, assembler: Assembler) -> None:
        """A stream is gone: what it had begun, and no newer one has taken over, waits for another.

        Raises:
            OSError: the disk does not take it; it is forgotten.
        """
        part = assembler.hand_over()
        if part is None or not self._is_wanted(part):
            return
        try:
            part.to_disk()
        except OSError:
            part.close()
            raise
        self._waiting[client] = part
        while sum(each.got for each in self._waiting.values()) > self._most:
            self._waiting.pop(next(iter(self._waiting))).close()

    def upload_phase(self, round_id: RoundId, largest: int) -> None:
        """It begins. ``largest``: bytes of an upload of this round."""
        self._round_id, self._most = round_id, max(WAITING_BYTES, WAITING_UPLOADS * largest)

    def over(self) -> None:
        """The upload phase is not on, or no more: nothing waits. What a stream has taken over is a
        body under way, and read to its end."""
        self._round_id = None
        for part in self._waiting.values():
            part.close()
        self._waiting.clear()

    def _is_wanted(self, part: Body) -> bool:
        """Closes it if not."""
        of = part.announcement
        if part.got and of.kind is Kind.UPLOAD and of.round_id == self._round_id:
            return True
        part.close()
        return False
