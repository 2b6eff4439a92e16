"""docs/when-things-go-wrong.md, "A disk fills": a file system that fills while a server trains."""

from __future__ import annotations

import contextlib
import resource
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import kit
import page_kit
import pytest

from auror.programs.processes import RunningProgram, free_address, programs, wait_until_listening

FULL, SERVER_STOPPED = 11, 6
ROOM = 24 * 2**20
"""Bytes of the file system: a start and some rounds."""


class Disk:
    """A small file system of its own, in memory. Without CAP_SYS_ADMIN none can be mounted: then a
    limit on the size of files does its part, and the server's alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        words = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", folder]
        self.own = subprocess.run(words, capture_output=True, check=False).returncode == 0

    def fill(self, server: RunningProgram) -> None:
        if not self.own:
            room = (self.folder / "runs" / "server" / "state.db").stat().st_size
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (room, room))
            return
        others = (self.folder / "others").open("wb", buffering=0)
        with others, contextlib.suppress(OSError):
            while others.write(bytes(4096)):
                pass

    def free(self) -> None:
        (self.folder / "others").unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    (tmp_path / "disk").mkdir()
    made = Disk(tmp_path / "disk")
    try:
        yield made
    finally:
        if made.own:
            subprocess.run(["umount", "--lazy", made.folder], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_the_server_and_nothing_is_lost(tmp_path: Path, disk: Disk) -> None:
    size, status = page_kit.lines("docs/when-things-go-wrong.md", section="A disk fills")
    folder = disk.folder / "runs" / "server"
    kit.enrol(tmp_path)
    address = free_address()
    settings = kit.server_settings(tmp_path, address, session__rounds=490)
    settings["server.run_dir"] = folder
    settings["server.report"] = False
    shown = kit.RunReader(folder).rounds
    with programs(tmp_path / "logs") as starter:
        server = starter.server(settings)
        wait_until_listening(address, server)
        clients = starter.clients(kit.client_settings(tmp_path, address, "0-5"))
        kit.wait_for(lambda: len(shown()) >= 2, starter)
        disk.fill(server)
        assert server.process.wait(kit.PATIENCE) == FULL, server.last_line()
        assert clients.process.wait(kit.PATIENCE) == SERVER_STOPPED
    assert str(folder) in server.last_line()
    assert not disk.own or "full" in server.last_line() or "No space left" in server.last_line()
    assert "mend that and start again" in server.last_line()
    before = shown()
    assert len(before) >= 2
    with page_kit.hosts(disk.folder) as host:
        here = host(".")
        assert "runs/server" in here.run(size)
        assert "not running" in here.run(status)
        disk.free()
        with programs(tmp_path / "again") as starter:
            server = starter.server(settings)
            wait_until_listening(address, server)
            starter.clients(kit.client_settings(tmp_path, address, "0-5"))
            kit.wait_for(lambda: len(shown()) >= len(before) + 3, starter)
            assert "running" in here.run(status)
        lines = shown()
        assert lines[: len(before)] == before
        assert [line["index"] for line in lines] == list(range(len(lines)))
        here.run(f"auror audit verify runs/server --credentials {shlex.quote(str(tmp_path))}"
                 "/certs/clients/000")  # fmt: skip
