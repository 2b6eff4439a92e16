"""What a client must not forget: on disk before the signature that needs it leaves (rule 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from auror.deployment.locks import Lock
from auror.deployment.policy_file import policy_json
from auror.errors import ConfigError, MachineError
from auror.files import replace_file
from auror.ids import ClientId
from auror.round.client.memory import ClientMemory
from auror.round.facts import decode_memory, encode
from auror.round.policy import Policy
from auror_client.held_policy import policy_file


class Journal:
    """One client's memory; a state folder belongs to one deployment.

    Use as a context manager. The lock is taken before anything is read and held to the end:
    memory that lives in this process cannot be older than the file, so writing it undoes nothing.
    """

    def __init__(self, folder: Path, deployment: str, client: ClientId) -> None:
        """Raises ConfigError when ``folder`` cannot be used, or another process has this state."""
        home = folder / deployment
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            others = _of_others(folder, home)
            if not others:
                home.mkdir(mode=0o700, exist_ok=True)
                home.chmod(0o700)
        except OSError as error:
            raise ConfigError(
                f"client.state = {folder}: cannot write there ({error.strerror}); choose another"
                " folder, but never one without what this client has to remember"
            ) from error
        if others:
            raise _of_another(folder, others[0], deployment)
        self.memory = ClientMemory()
        """As it was read or written last."""
        self._path, self._client = home / f"client-{client:03d}.json", client
        self._lock = Lock(
            _lock_file(home, client),
            "client.state",
            f"another process runs client {client} on {folder}; end that one first, and run each"
            " client only once",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def load(self) -> ClientMemory:
        """Raises ConfigError when the file is there but cannot be read: forgetting is not safe."""
        try:
            self.memory = decode_memory(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            self.memory = ClientMemory()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{self._path} cannot be read ({error}): restore it, or name another folder in"
                " client.state"
            ) from error
        return self.memory

    def keep_policy(self, policy: Policy) -> None:
        """Durable before a memory that holds ``policy`` is.

        Raises:
            MachineError: the disk takes nothing more.
        """
        path = policy_file(self._path.parent.parent, self._path.parent.name, self._client)
        self._replace(path, policy_json(policy))

    def save(self, memory: ClientMemory) -> None:
        """Replace what is on disk, for this user's eyes only.

        Raises:
            ConfigError: the lock file is no longer ours.
            MachineError: the disk takes nothing more.
        """
        self._replace(self._path, encode(memory).encode())
        self.memory = memory

    def _replace(self, path: Path, content: bytes) -> None:
        self._lock.check()
        try:
            replace_file(path, content, 0o600)
        except OSError as error:
            raise MachineError(
                f"client.state: {path} cannot be written ({error.strerror}); mend that and"
                " start again"
            ) from error


def check_journal(folder: Path, deployment: str, client: ClientId) -> ClientMemory:
    """What a start would find of this client's state; a folder that is not there yet is not made.

    Raises:
        ConfigError: as a start would.
    """
    home = folder / deployment
    try:
        others = _of_others(folder, home) if folder.exists() else []
    except OSError as error:
        raise ConfigError(
            f"client.state = {folder}: cannot be read ({error.strerror}); choose another folder"
        ) from error
    if others:
        raise _of_another(folder, others[0], deployment)
    if _lock_file(home, client).exists():
        with Journal(folder, deployment, client) as journal:
            return journal.load()
    return ClientMemory()


def _lock_file(home: Path, client: ClientId) -> Path:
    return home / f"client-{client:03d}.lock"


def _of_others(folder: Path, home: Path) -> list[str]:
    return [found.name for found in folder.iterdir() if found.is_dir() and found != home]


def _of_another(folder: Path, other: str, deployment: str) -> ConfigError:
    return ConfigError(
        f"client.state = {folder} belongs to deployment {other}, these credentials are of"
        f" {deployment}: name another folder, one for each deployment"
    )
