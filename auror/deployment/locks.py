"""One process per folder: a lock of the operating system, gone with the process however it ends.

A process that holds what it read in memory and writes it back later must be the only one; else
it would undo what another one wrote in between.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
from pathlib import Path
from typing import Self

from auror.errors import ConfigError


class Lock:
    """``path``, locked for this process until :meth:`close`; the kernel frees it after a kill -9.

    Two locks on one file exclude each other also within one process.
    """

    def __init__(self, path: Path, setting: str, busy: str) -> None:
        """Take the lock; never waits.

        Args:
            path: the lock file, in an existing folder; made when it is not there, never removed.
            setting: the setting that names the folder, for messages.
            busy: what to say when another process holds the lock.

        Raises:
            ConfigError: it does, or the file cannot be made or locked here.
        """
        self._path, self._setting = path, setting
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"{setting}: cannot write {path} ({error.strerror}); choose another folder"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise ConfigError(f"{setting}: {busy}") from error
        except OSError as error:  # ENOTSUP, ENOLCK, ENOSYS: without a lock nothing is safe
            os.close(self._file)
            raise ConfigError(
                f"{setting}: {path} cannot be locked ({error.strerror}), so nothing keeps a second"
                " process away; choose a folder on a local disk"
            ) from error

    def check(self) -> None:
        """Raises ConfigError when somebody removed or replaced the file: then another process
        can hold a lock of the same name."""
        try:
            same = os.path.samestat(os.fstat(self._file), self._path.stat())
        except OSError:
            same = False
        if not same:
            raise ConfigError(
                f"{self._setting}: {self._path} was removed or replaced while this process held"
                " it, and nothing more is written; start again"
            )

    def close(self) -> None:
        """Let others have it. The file stays: removing it could take a later owner's away."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_MOST = 1 << 20
_FILES = 100
"""What a program has open beside sockets and locks of clients: libraries, logs, event loops."""


def allow_many_files(wanted: int = 0) -> int:
    """Let this process, and those it starts, open as many files as they may.

    ``wanted``: sockets and locks of clients that will be open at once.

    Returns:
        How many sockets and locks may be, beside what every program has open.

    Raises:
        ConfigError: so many are not allowed here.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # where the hard limit itself is refused
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    allowed, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < wanted + _FILES:
        raise ConfigError(
            f"{wanted + _FILES} files have to be open at once, and {allowed} may be: raise the"
            f" limit (`ulimit -n {wanted + _FILES}`), or take fewer clients"
        )
    return _MOST if allowed == resource.RLIM_INFINITY else allowed - _FILES
