"""Machines that take nothing more, with real processes: a line, a code of its own, nothing lost."""

from __future__ import annotations

import resource
from pathlib import Path

import kit
import pytest

from auror.programs.processes import RunningProgram, free_address, programs, wait_until_listening

FEW = 5
"""Open files: fewer than every program has, so that it opens none any more."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    kit.enrol(tmp_path)
    return tmp_path


def open_no_more(program: RunningProgram) -> None:
    resource.prlimit(program.process.pid, resource.RLIMIT_NOFILE, (FEW, FEW))


def test_a_server_that_may_open_no_file_ends_with_a_line_and_goes_on_later(folder: Path) -> None:
    address = free_address()
    settings = kit.server_settings(folder, address, session__rounds=500)
    with programs(folder / "logs") as starter:
        server, clients = kit.playing(starter, folder, settings)
        open_no_more(server)
        assert server.process.wait(kit.PATIENCE) == 11
        assert clients.process.wait(kit.PATIENCE) == 6
    assert "auror-server: " in server.last_line()
    assert "Too many open files; raise the limit on open files (ulimit -n)" in server.last_line()
    before = len(kit.rounds(folder))
    with programs(folder / "again") as starter:
        server = starter.server(settings)
        wait_until_listening(address, server)
        starter.clients(kit.client_settings(folder, address, "0-5"))
        kit.wait_for(lambda: len(kit.rounds(folder)) >= before + 3, starter)
    lines = kit.rounds(folder)
    assert [line["index"] for line in lines] == list(range(len(lines)))
    assert all(line["aborted"] is None or line["index"] >= 2 for line in lines)


def test_a_client_that_cannot_remember_withdraws_and_ends(folder: Path) -> None:
    address = free_address()
    with programs(folder / "logs") as starter:
        server = starter.server(kit.server_settings(folder, address, session__rounds=500))
        wait_until_listening(address, server)
        starter.clients(kit.client_settings(folder, address, "0-4"), "most")
        full = starter.clients(kit.client_settings(folder, address, "5"), "full")
        kit.wait_for(lambda: len(kit.rounds(folder)) >= 2, starter)
        open_no_more(full)
        assert full.process.wait(kit.PATIENCE) == 11
        starter.started.remove(full)  # its code is no failure
        count = len(kit.rounds(folder))
        kit.wait_for(lambda: len(kit.rounds(folder)) >= count + 2, starter)
    assert "client.state: " in full.last_line()
    assert "cannot be written (Too many open files)" in full.last_line()
    assert "client withdrew    client=5" in server.log.read_text()
    withdrawn = [line for line in kit.rounds(folder) if line["withdrawn"]]
    assert [line["withdrawn"] for line in withdrawn] == [{"5": "STATE_UNWRITABLE"}]
    assert withdrawn[0]["seconds"] < 30  # no phase waited for its deadline of 60 s


def test_a_server_whose_disk_is_full_ends_with_a_line_and_loses_nothing(folder: Path) -> None:
    address = free_address()
    settings = kit.server_settings(folder, address, session__rounds=500)
    with programs(folder / "logs") as starter:
        server, clients = kit.playing(starter, folder, settings)
        room = (folder / "run" / "state.db").stat().st_size
        assert room > 2 * server.log.stat().st_size  # the log has room all the same
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (room, room))
        assert server.process.wait(kit.PATIENCE) == 11
        assert clients.process.wait(kit.PATIENCE) == 6
    assert "mend that and start again" in server.last_line()
    before = kit.rounds(folder)
    with programs(folder / "again") as starter:
        server = starter.server(settings)
        wait_until_listening(address, server)
        starter.clients(kit.client_settings(folder, address, "0-5"))
        kit.wait_for(lambda: len(kit.rounds(folder)) >= len(before) + 3, starter)
    lines = kit.rounds(folder)
    assert lines[: len(before)] == before
    assert [line["index"] for line in lines] == list(range(len(lines)))
