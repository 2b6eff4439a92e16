"""What a server tells every client of a process alike: read once, and held once.

A message is named by kind and SHA-256, which was computed over what came (``frames.Body``), so
equal names are equal bytes; messages are values that nobody changes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from auror.ids import Digest
from auror.round.messages import AnyServerMessage
from auror.wire import codec
from auror.wire.frames import Received
from auror.wire.limits import Kind, Limits

HELD = 8
"""A client that is late is a few phases behind the others."""
_ONE_CLIENT = frozenset({Kind.SHARE_DELIVERY})
"""Written to one client each."""
_Name = tuple[Kind, Digest, Limits]


class ReadOnce:
    """The newest messages to all; called from many threads."""

    def __init__(self, most: int = 0) -> None:
        """``most``: how many are held; a client alone needs none of them twice."""
        self._most = most
        self._lock = threading.Lock()
        self._held: OrderedDict[_Name, AnyServerMessage] = OrderedDict()

    def known(self, whole: Received, limits: Limits) -> AnyServerMessage | None:
        """``whole``, if another client of this process was told the same; its body is forgotten."""
        with self._lock:
            found = self._held.get(_name(whole, limits))
        if found is not None:
            whole.close()
        return found

    def read(self, whole: Received, limits: Limits) -> AnyServerMessage:
        """The message.

        Raises:
            WireError: it is not a message of this protocol.
        """
        found = self.known(whole, limits)  # while this waited for its thread
        if found is not None:
            return found
        kind = whole.envelope.kind
        message = codec.decode_server(kind, whole.read(), limits)
        if kind not in _ONE_CLIENT:
            with self._lock:
                self._held[_name(whole, limits)] = message
                while len(self._held) > self._most:
                    self._held.popitem(last=False)
        return message


def _name(whole: Received, limits: Limits) -> _Name:
    return whole.envelope.kind, whole.envelope.sha256, limits
