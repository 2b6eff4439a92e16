"""One process per folder, also when processes die."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from auror.deployment.locks import Lock
from auror.errors import ConfigError

_HOLD = """
import sys
from pathlib import Path
from auror.deployment.locks import Lock

Lock(Path(sys.argv[1]), "some.setting", "busy")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", _HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_another_process_holds_it_until_it_is_killed(
    path: Path, holder: subprocess.Popen[bytes]
) -> None:
    with pytest.raises(ConfigError, match=r"^some\.setting: end the other one$") as caught:
        Lock(path, "some.setting", "end the other one")
    assert caught.value.exit_code == 2
    holder.kill()  # no chance to tidy up
    holder.wait()
    assert path.exists()
    with Lock(path, "some.setting", "busy") as lock:
        lock.check()


def test_a_lock_leaves_no_open_file_when_it_is_refused(
    path: Path, holder: subprocess.Popen[bytes]
) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(ConfigError):
            Lock(path, "some.setting", "busy")
    assert len(list(Path("/dev/fd").iterdir())) == before


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_file: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(ConfigError, match="cannot be locked") as caught:
        Lock(path, "some.setting", "busy")
    assert "\n" not in str(caught.value)
    assert "local disk" in str(caught.value)


def test_an_impossible_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"some\.setting: cannot write"):
        Lock(tmp_path / "none" / "lock", "some.setting", "busy")


@pytest.mark.parametrize("replaced", [False, True])
def test_a_removed_file_is_noticed(path: Path, replaced: bool) -> None:
    with Lock(path, "some.setting", "busy") as lock:
        lock.check()
        path.unlink()
        if replaced:
            path.touch()
        with pytest.raises(ConfigError, match="removed or replaced"):
            lock.check()
