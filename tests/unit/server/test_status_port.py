"""The status socket: what it says, to whom, and that nobody can hold it up."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from pathlib import Path

import pytest
from auror_server import status_port
from auror_server.status_port import AT_ONCE, StatusPort
from stage import Stage

from auror.deployment import status_socket
from auror.deployment.status_socket import SOCKET, Presence, ask


async def asked(folder: Path) -> tuple[Presence, object]:
    return await asyncio.to_thread(ask, folder)


def test_a_server_says_that_it_starts_and_then_what_its_session_says(tmp_path: Path) -> None:
    async def scene() -> None:
        port = StatusPort()
        async with port.listening(tmp_path):
            presence, said = await asked(tmp_path)
            assert presence is Presence.RUNNING
            assert isinstance(said, dict)
            assert said["activity"] == "starting"
            port.standing = lambda: {"activity": "playing a round"}
            assert await asked(tmp_path) == (Presence.RUNNING, {"activity": "playing a round"})

    asyncio.run(scene())
    assert ask(tmp_path) == (Presence.ABSENT, None)
    assert not (tmp_path / SOCKET).exists()


def test_it_is_for_one_user_only(tmp_path: Path) -> None:
    async def scene() -> int:
        async with StatusPort().listening(tmp_path):
            return (tmp_path / SOCKET).stat().st_mode

    assert stat.S_IMODE(asyncio.run(scene())) == 0o600


def test_a_folder_may_have_a_name_that_no_address_holds(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()

    async def scene() -> Presence:
        async with StatusPort().listening(folder):
            return (await asked(folder))[0]

    assert asyncio.run(scene()) is Presence.RUNNING


def test_what_a_killed_server_left_is_not_running_and_in_nobodys_way(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(tmp_path / SOCKET))
        line.listen()
    assert ask(tmp_path) == (Presence.ABSENT, None)

    async def scene() -> Presence:
        async with StatusPort().listening(tmp_path):
            return (await asked(tmp_path))[0]

    assert asyncio.run(scene()) is Presence.RUNNING


def test_without_a_socket_the_server_goes_on_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, str]] = []

    def warning(event: str, **fields: str) -> None:
        said.append((event, fields["why"]))

    monkeypatch.setattr(status_port._log, "warning", warning)

    async def scene() -> str:
        async with StatusPort().listening(tmp_path / "nowhere" / "at-all"):
            return "went on"

    assert asyncio.run(scene()) == "went on"
    assert said == [("no status socket", "No such file or directory")]


def test_who_floods_it_or_does_not_read_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_port, "PATIENCE_S", 0.3)

    async def scene() -> None:
        port = StatusPort()
        port.standing = lambda: {"large": "x" * (1 << 19)}  # more than a socket takes unread
        async with port.listening(tmp_path):
            idle = [socket.socket(socket.AF_UNIX) for _ in range(AT_ONCE)]
            for line in idle:
                line.connect(str(tmp_path / SOCKET))
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / SOCKET))
            assert await reader.read() == b""  # one too many
            writer.close()
            await asyncio.sleep(0.6)
            assert (await asked(tmp_path))[0] is Presence.RUNNING
            for line in idle:
                line.close()

    asyncio.run(scene())


@pytest.mark.parametrize("said", [b"", b"[1]", b'{"activity": ', b"x" * 70_000])
def test_an_answer_that_is_none_or_does_not_end_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(status_socket, "LARGEST", 65_536)

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async def scene() -> tuple[Presence, object]:
        server = await asyncio.start_unix_server(answer, tmp_path / SOCKET)
        async with server:
            return await asked(tmp_path)

    assert asyncio.run(scene()) == (Presence.SILENT, None)


def test_a_server_that_hangs_runs_and_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_socket, "PATIENCE_S", 0.1)
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(tmp_path / SOCKET))
        line.listen()
        assert ask(tmp_path) == (Presence.SILENT, None)


def test_a_session_says_what_it_does_and_whom_it_waits_for(tmp_path: Path) -> None:
    seen = []

    async def scene() -> None:
        stage = Stage(tmp_path, rounds=1, join_timeout_s=30, phase_deadline_s=20)

        def look() -> None:
            seen.append(json.loads(json.dumps(stage.session.standing())))

        stage.at(1.0, look)
        for site in stage.sites:
            stage.at(2.0, site.connect)
        stage.sites[4].silent = True
        stage.at(3.0, look)
        await stage.run()
        look()

    asyncio.run(scene())
    before, during, after = seen
    assert (before["activity"], before["deadline_s"]) == ("waiting for clients", 29.0)
    assert before["waiting_for"] == list(range(7))
    assert before["connected"] == []
    assert (during["activity"], during["phase"]) == ("playing a round", "advertise")
    assert (during["counter"], during["phase_s"]) == (0, 1.0)
    assert (during["waiting_for"], during["enough"]) == ([4], True)
    assert during["deadline_s"] == 9.0  # the patience, since enough have answered
    assert during["connected"] == list(range(7))
    assert not during["stopping"]
    assert after["activity"] == "ending"
