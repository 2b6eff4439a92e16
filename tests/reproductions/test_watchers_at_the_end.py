"""Who watched the health port when the server ended left a traceback each in its log.

gRPC cancelled what still ran when the port's time was up, and wrote where.
"""

from __future__ import annotations

from pathlib import Path

import grpc
import kit
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from auror.programs.processes import free_address, programs

STOPPED = 6


def test_a_server_with_watchers_ends_without_a_traceback(tmp_path: Path) -> None:
    kit.enrol(tmp_path)
    probe = free_address()
    settings = kit.server_settings(tmp_path, free_address(), server__health=probe)
    with (
        programs(tmp_path / "logs") as starter,
        grpc.insecure_channel(probe) as channel,
        kit.serving(starter, settings) as server,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch
        gone = watch(health_pb2.HealthCheckRequest(), wait_for_ready=True)
        next(gone)
        gone.cancel()
        watches = [watch(health_pb2.HealthCheckRequest()) for _ in range(3)]
        serving = health_pb2.HealthCheckResponse.SERVING
        assert [next(one).status for one in watches] == [serving] * 3
        server.process.terminate()
        for one in watches:
            assert next(one).status == health_pb2.HealthCheckResponse.NOT_SERVING
            with pytest.raises(grpc.RpcError) as ended:
                next(one)
            assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
        assert server.process.wait(kit.PATIENCE) == STOPPED
    said = server.log.read_text()
    assert "session over" in said
    assert "Traceback" not in said
