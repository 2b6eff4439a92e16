"""What a client must not forget: on disk before the signature that needs it leaves (rule 3)."""

from __future__ import annotations

import os
from pathlib import Path

from auror.errors import ConfigError
from auror.ids import ClientId
from auror.round.client.memory import ClientMemory


class Journal:
    """One client's memory in one deployment; a new deployment begins with an empty one."""

    def __init__(self, folder: Path, deployment: str, client: ClientId) -> None:
        self._path = folder / deployment / f"client-{client:03d}.json"

    def load(self) -> ClientMemory:
        """Raises ConfigError when the file is there but cannot be read: forgetting is not safe."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return ClientMemory.from_json(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ClientMemory()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{self._path} cannot be read ({error}): restore it, or name another folder in"
                " client.state"
            ) from error

    def save(self, memory: ClientMemory) -> None:
        """Write, fsync, rename, fsync the folder."""
        temporary = self._path.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(memory.to_json())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
