"""The server's certificate as it lies beside its key: a renewed one needs no restart.

Connections that stand are not touched; the next handshake shows the new one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from auror.deployment.credentials import CERTIFICATE_FILE, End, TlsFiles, check_tls
from auror.deployment.logs import logger
from auror.errors import UserError
from auror.files import Stamp, stamp_of

_log = logger("server")


class OwnCertificate:
    """May be asked from any thread: gRPC asks from its own, at every handshake."""

    def __init__(self, folder: Path, tls: TlsFiles, now: Callable[[], float] = time.time) -> None:
        """``tls`` were read from ``folder``. ``now``: Unix seconds."""
        self._folder, self._now = folder, now
        self.tls = self._shown = tls
        """As they serve; the key is the one of the start."""
        self.on_taken: Callable[[float], None] = lambda _until: None
        """Told until when the new one serves, Unix seconds."""
        self._seen: Stamp | None = None
        self._lock = threading.Lock()

    def look(self) -> None:
        """Take the certificate that lies there, if it is another one for the same key. What cannot
        be taken is said once and changes nothing."""
        with self._lock:
            seen = stamp_of(self._folder / CERTIFICATE_FILE)
            if seen is None or seen == self._seen:
                return
            self._seen = seen
            try:
                found = (self._folder / CERTIFICATE_FILE).read_bytes()
                if found == self.tls.certificate:
                    return
                tls = replace(self.tls, certificate=found)
                until = check_tls(self._folder, tls, End.SERVER, self._now())
            except (OSError, ValueError, UserError) as error:
                _log.error("certificate not taken", why=str(error))
                return
            self.tls = tls
        self.on_taken(until.timestamp())
        _log.info("certificate taken", until=f"{until:%Y-%m-%d}")

    def newer(self) -> TlsFiles | None:
        """What the next handshake is to show, if that is not what this said last."""
        self.look()
        with self._lock:
            if self._shown is self.tls:
                return None
            self._shown = self.tls
            return self.tls
