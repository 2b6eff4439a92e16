"""Masked inputs on disk until the accepted set is known: memory does not grow with the cohort."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from auror.ids import ClientId


class SpooledUploads(MutableMapping[ClientId, bytes]):
    """One file per client in ``folder``, which is emptied first and removed by :meth:`close`."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._folder = folder
        self._clients: set[ClientId] = set()

    def __setitem__(self, client: ClientId, payload: bytes) -> None:
        self._path(client).write_bytes(payload)
        self._clients.add(client)

    def __getitem__(self, client: ClientId) -> bytes:
        if client not in self._clients:
            raise KeyError(client)
        return self._path(client).read_bytes()

    def __delitem__(self, client: ClientId) -> None:
        self._clients.remove(client)
        self._path(client).unlink()

    def __iter__(self) -> Iterator[ClientId]:
        return iter(sorted(self._clients))

    def __len__(self) -> int:
        return len(self._clients)

    def close(self) -> None:
        self._clients.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, client: ClientId) -> Path:
        return self._folder / f"{client}.bin"
