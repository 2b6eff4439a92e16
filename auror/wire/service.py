"""The gRPC methods, their channel options, and what both ends say first."""

from __future__ import annotations

from collections.abc import Sequence

from auror.wire.frames import MAX_FRAME_BYTES

SERVICE = "auror.wire.v1.Auror"
METHOD = "Participate"
PATH = f"/{SERVICE}/{METHOD}"
PROBE = "Probe"
PROBE_PATH = f"/{SERVICE}/{PROBE}"
MOST_PROBED = 1 << 20
"""Bytes that a member may send in one probe, as gRPC counts them: frames with what is in them."""
REVOKED = "the operator revoked the holder of this certificate"
"""What the server says to a former member, of the status PERMISSION_DENIED."""

Options = Sequence[tuple[str, int]]

_BOUNDS: Options = (
    ("grpc.max_receive_message_length", MAX_FRAME_BYTES),
    ("grpc.max_send_message_length", MAX_FRAME_BYTES),
    # what a connection keeps to read into: else as much as it once read at a time, for good
    ("grpc.experimental.tcp_max_read_buffer_size", 8 << 10),
)


def server_options(connections: int) -> Options:
    """Of a port that takes at most ``connections`` at once, those without a handshake included."""
    return (
        *_BOUNDS,
        # without these two the server cuts clients off for pinging too often
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
        ("grpc.http2.max_ping_strikes", 0),
        # a second server on the same port must fail, not share it
        ("grpc.so_reuseport", 0),
        ("grpc.max_allowed_incoming_connections", connections),
        ("grpc.server_handshake_timeout_ms", 10_000),
        # what one peer may have on the way: windows that grow with the bandwidth cost 16 MB a peer
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 8 * MAX_FRAME_BYTES),
        # one stream, and those that it replaced a moment ago
        ("grpc.max_concurrent_streams", 4),
        # of a connection without any stream
        ("grpc.max_connection_idle_ms", 60_000),
    )


def probe_options(connections: int) -> Options:
    """Of the health port: plain text, anybody, small questions."""
    return (
        ("grpc.so_reuseport", 0),
        ("grpc.max_allowed_incoming_connections", connections),
        ("grpc.server_handshake_timeout_ms", 2_000),
        ("grpc.max_concurrent_streams", 4),
        ("grpc.max_connection_idle_ms", 30_000),
        ("grpc.max_receive_message_length", 4096),
    )


CLIENT_OPTIONS: Options = (
    *_BOUNDS,
    # every client of a process has its own connection and certificate
    ("grpc.use_local_subchannel_pool", 1),
    # retries are ours: a broken stream has an unknown outcome
    ("grpc.enable_retries", 0),
)
