"""The control socket: one bounded line in, one out; what a peer does wrong holds up nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from auror_server.control_port import AT_ONCE, ControlPort

from auror.deployment.control_socket import CONTROL, LONGEST, Asked, asked_of, numbered, request
from auror.errors import ConfigError, UnavailableError


async def echo(wanted: Any) -> dict[str, Any]:
    if wanted == "no":
        raise ConfigError("not that")
    return {"said": wanted}


def said(folder: Path, raw: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        line.connect(str(folder / CONTROL))
        with contextlib.suppress(BrokenPipeError):  # cut off before it spoke
            line.sendall(raw)
        found = b""
        while part := line.recv(4096):
            found += part
    return found


def test_requests_are_answered_and_refused_in_one_line(tmp_path: Path) -> None:
    async def scene() -> None:
        async with ControlPort(echo).listening(tmp_path):
            assert stat.S_IMODE((tmp_path / CONTROL).stat().st_mode) == 0o600
            assert await asyncio.to_thread(request, tmp_path, {"do": 1}) == {"said": {"do": 1}}
            no = json.loads(await asyncio.to_thread(said, tmp_path, b'"no"\n'))
            assert no == {"error": "not that", "code": 2}
            for line in (b"\xff{\n", b"[" * (LONGEST - 1) + b"\n"):
                bad = json.loads(await asyncio.to_thread(said, tmp_path, line))
                assert bad["code"] == 2
            assert await asyncio.to_thread(said, tmp_path, b"x" * (2 * LONGEST)) == b""
            again = await asyncio.to_thread(request, tmp_path, {"do": 2})
            assert again == {"said": {"do": 2}}

    asyncio.run(scene())
    assert not (tmp_path / CONTROL).exists()
    with pytest.raises(UnavailableError, match="no server stands on"):
        request(tmp_path, {})


def test_silent_peers_are_few_and_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auror_server.control_port.PATIENCE_S", 0.5)

    async def scene() -> None:
        async with ControlPort(echo).listening(tmp_path):
            silent = [
                await asyncio.open_unix_connection(str(tmp_path / CONTROL)) for _ in range(AT_ONCE)
            ]
            assert await asyncio.to_thread(said, tmp_path, b"") == b""  # one too many
            for reader, writer in silent:
                assert await reader.read() == b""
                writer.close()
            assert await asyncio.to_thread(request, tmp_path, {}) == {"said": {}}

    asyncio.run(scene())


@pytest.mark.parametrize(
    "raw",
    [[], {"round": 3}, {"rounds": "3"}, {"rounds": True}, {"from_model": 3}, {"resume": None}],
)
def test_what_is_no_request(raw: Any) -> None:
    with pytest.raises(ConfigError):
        Asked.from_dict(raw)


def test_what_was_asked_for_is_kept_and_other_folders_are_no_runs(tmp_path: Path) -> None:
    for name in ("0002", "0010", "0001", "other", "12", "0003.new"):
        (tmp_path / name).mkdir()
    (tmp_path / "0004").touch()
    assert [run.name for run in numbered(tmp_path)] == ["0001", "0002", "0010"]
    asked = Asked(rounds=3, after_flag="continue")
    asked.keep(tmp_path / "0001")
    assert asked_of(tmp_path / "0001") == asked
    assert asked_of(tmp_path / "0002") is None
