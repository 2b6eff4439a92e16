"""One table from what went wrong on a stream to the gRPC status the peer sees.

The public text tells the peer what to mend and nothing about the server.
"""

from __future__ import annotations

import grpc

from auror.errors import ProtocolError
from auror.wire.fields import WireError
from auror.wire.service import REVOKED
from auror_server.admission import TooOften
from auror_server.members import NotEnrolled, NotYet, Revoked


class WrongHello(ProtocolError):
    """The first frame does not fit this deployment, version or certificate."""


class Silent(ProtocolError):
    """No first frame in time."""


_TABLE: tuple[tuple[type[ProtocolError], grpc.StatusCode, str], ...] = (
    (
        NotEnrolled,
        grpc.StatusCode.PERMISSION_DENIED,
        "this certificate is not in the server's policy",
    ),
    (Revoked, grpc.StatusCode.PERMISSION_DENIED, REVOKED),
    (
        NotYet,
        grpc.StatusCode.UNAVAILABLE,
        "the server does not hold this version of the policy yet",
    ),
    (
        WrongHello,
        grpc.StatusCode.FAILED_PRECONDITION,
        "protocol version, deployment or client id do not fit this server",
    ),
    (TooOften, grpc.StatusCode.RESOURCE_EXHAUSTED, "too many streams in a short time"),
    (Silent, grpc.StatusCode.DEADLINE_EXCEEDED, "no hello or probe in time"),
    (WireError, grpc.StatusCode.INVALID_ARGUMENT, "message refused"),
)


def status_of(error: ProtocolError) -> tuple[grpc.StatusCode, str]:
    for kind, code, text in _TABLE:
        if isinstance(error, kind):
            return code, text
    return grpc.StatusCode.INTERNAL, "internal error"
