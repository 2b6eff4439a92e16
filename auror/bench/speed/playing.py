"""The server's end of a round without a network: frames in, frames out."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auror.ids import ClientId
from auror.round.messages import ClientMessage, RoundStart, ServerMessage
from auror.round.policy import Policy
from auror.round.run import accept_all
from auror.round.server.context import Finished, Opened, Phase, PhaseStarted, Send, ServerEffect
from auror.round.server.machine import RoundServer
from auror.wire import codec
from auror.wire.frames import Assembler, server_frames
from auror.wire.limits import Kind, Limits
from auror.wire.v1 import transport_pb2 as pb

Frames = tuple[bytes, ...]
"""Of one message, as gRPC carries them."""
Clocks = tuple[float, float]


def clocks() -> Clocks:
    """CPU seconds of this process, and seconds of the clock."""
    return time.process_time(), time.perf_counter()


@dataclass
class PhaseCosts:
    """By phase of the message that caused them."""

    cpu_seconds: dict[Phase, float] = field(default_factory=lambda: defaultdict(float))
    seconds: dict[Phase, float] = field(default_factory=lambda: defaultdict(float))
    bytes: dict[Phase, int] = field(default_factory=lambda: defaultdict(int))

    def spend(self, phase: Phase, began: Clocks, size: int) -> None:
        """What began at ``began`` is done; ``size`` bytes were received or sent."""
        cpu, clock = clocks()
        self.cpu_seconds[phase] += cpu - began[0]
        self.seconds[phase] += clock - began[1]
        self.bytes[phase] += size


@dataclass(frozen=True)
class SentFrames:
    """The same message to many clients."""

    to: tuple[ClientId, ...]
    kind: Kind
    body: bytes


class FramedServer:
    """A ``RoundServer`` that accepts every group, with the codec around it. It draws nothing, so
    what it was told once can be told to another."""

    def __init__(self, start: RoundStart, policy: Policy) -> None:
        self._round_id = start.description.round_id
        self._limits = Limits(policy.id_bound, start.plan.dim, start.plan.rows)
        self.machine = RoundServer(start, policy, {})
        self.phase = Phase.ADVERTISE
        self.total: NDArray[np.int64] | None = None

    def start(self) -> list[SentFrames]:
        """Invite the cohort."""
        return self._sent(self.machine.start())

    def hear(self, sender: ClientId, frames: Frames) -> list[SentFrames]:
        """Put a message together, decode it, take it, and encode what follows from it."""
        return self._sent(self.machine.on_message(sender, self._message(frames)))

    def time_up(self) -> list[SentFrames]:
        """Whoever is missing is silent."""
        return self._sent(self.machine.on_deadline())

    def _sent(self, effects: list[ServerEffect]) -> list[SentFrames]:
        return [self._encoded(send) for send in self._carry(effects)]

    def _carry(self, effects: list[ServerEffect]) -> Iterator[Send]:
        for effect in effects:
            match effect:
                case Send():
                    yield effect
                case PhaseStarted(phase):
                    self.phase = phase
                case Opened(groups, plan):
                    yield from self._carry(self.machine.on_decision(accept_all(groups, plan)))
                case Finished(total):
                    self.total = total.total
                case _:
                    pass

    def _message(self, frames: Frames) -> ClientMessage:
        assembler = Assembler(from_client=True)
        for raw in frames:
            frame = pb.ClientFrame.FromString(raw)
            whole = assembler.frame(frame, self._limits)
            if whole is not None:
                return codec.decode_client(whole.envelope.kind, whole.read(), self._limits)
        raise AssertionError("a message without its last frame")

    def _encoded(self, send: Send) -> SentFrames:
        message: ServerMessage = send.message
        kind, body = codec.kind_of(message), codec.encode_server(message)
        for _ in server_frames(self._round_id, kind, body):
            pass
        return SentFrames(send.to, kind, body)
