"""The client's settings: TOML, ``AUROR_CLIENT__SECTION__KEY``, ``--set section.key=value``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from auror.errors import ConfigError
from auror.ids import ClientId
from auror.params import ClientPolicy
from auror.wire.addresses import check_address
from auror.wire.settings import Section, load

PREFIX = "AUROR_CLIENT"


class ClientSection(Section):
    """Where the server is, who this is, and resources."""

    server: str = "127.0.0.1:7443"
    """host:port of the server; the host must be one that `auror certs --server` named."""
    credentials: Path = Path("certs/clients/000")
    """Folder of this client's credentials; of many clients, the folder above them."""
    state: Path = Path("state")
    """Folder for what this client must not forget over restarts."""
    device: str = "cpu"
    """auto, cpu, cuda or cuda:N, for training."""
    threads: int = Field(default=2, ge=1, le=64)
    """Threads for cryptography and arrays."""
    training_threads: int = Field(default=1, ge=1, le=64)
    """Clients of this process that train at the same time."""
    give_up_after_s: float = Field(default=120, gt=0)
    """End when the server could not be reached for this long."""
    max_dim: int = Field(default=20_000_000, ge=1)
    """Largest model this client accepts, in entries."""
    log: Literal["console", "json"] = "console"
    """Form of the log on standard error."""
    quiet: bool = False
    """Only warnings and errors."""


class DataSection(Section):
    """This client's samples."""

    dataset: str = "mnist5k"
    """digits, mnist5k, mnist, "npz" (own samples) or "synthetic" (load tests)."""
    data_dir: str = ""
    """Folder of the data set where it is not packaged."""
    npz: str = ""
    """With dataset = "npz": a file with x (samples, channels, height, width) and y (samples)."""
    partition: str = "iid"
    """How a shared data set is dealt out: iid, dirichlet:ALPHA or shards:K."""
    parts: int = Field(default=0, ge=0)
    """Into how many parts; 0 = one per client of the roster."""
    part: int = Field(default=-1, ge=-1)
    """Which part is this client's; -1 = the one with its own number."""
    seed: int = Field(default=1, ge=0)
    """Seed of the data split; the same at server and clients."""
    attack: str = "none"
    """Play an attacker, e.g. flip:4:9 (to test a deployment's defence)."""
    malicious: str = ""
    """Of many clients in one process, those that attack, e.g. "3,7-9"; "" = none."""


class PolicySection(Section):
    """This client's own floors and caps; the server's word does not replace them."""

    min_cohort: int = 3
    min_group: int = 1
    min_accepted: int = 2
    colluders: int = 0
    """c that this client assumes; thresholds below its own arithmetic are refused."""
    max_statistics: int = 2048
    max_coefficient_bits: int = 24
    max_row_norm_bits: int = 36
    max_left_out: int = 1_000_000
    max_attempts: int = 3


class SwarmSection(Section):
    """Many clients in one process, each with its own identity, connection, data and machine."""

    clients: str = ""
    """E.g. "0-14" or "0,3,8-9"; "" = one client, whose folder is client.credentials."""


class RecordSection(Section):
    """For demonstrations and load tests. What it writes would break this client's privacy."""

    randomness: str = ""
    """SENSITIVE. File that gets the training and rounding seeds of every round, for a replay."""
    inputs: str = ""
    """SENSITIVE. Folder that gets every quantised update before it is masked."""


class FaultsSection(Section):
    """Faults on purpose, for load tests."""

    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Chance, per round, that a client vanishes: before or after its upload, equally often."""
    seed: int = Field(default=0, ge=0)


class ClientConfig(Section):
    """Everything."""

    client: ClientSection = ClientSection()
    data: DataSection = DataSection()
    policy: PolicySection = PolicySection()
    swarm: SwarmSection = SwarmSection()
    record: RecordSection = RecordSection()
    faults: FaultsSection = FaultsSection()

    def client_policy(self) -> ClientPolicy:
        """Raises ConfigError when a floor or cap cannot be used."""
        return ClientPolicy(**self.policy.model_dump())


def parse_ids(setting: str, text: str) -> tuple[ClientId, ...]:
    """``"0-3,8"`` → 0, 1, 2, 3, 8.

    Raises:
        ConfigError: naming ``setting``.
    """
    found: set[ClientId] = set()
    for piece in filter(None, (part.strip() for part in text.split(","))):
        first, dash, last = piece.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ConfigError(f'{setting} = "{text}": write it like "0-14" or "0,3,8-9"')
        found.update(ClientId(i) for i in range(int(first), int(last or first) + 1))
    return tuple(sorted(found))


def load_config(
    path: Path | None, environment: Mapping[str, str], flags: Sequence[str]
) -> ClientConfig:
    """Raises ConfigError: one line with the fix."""
    config = load(ClientConfig, path, PREFIX, environment, flags)
    config.client_policy()
    check_address("client.server", config.client.server)
    parse_ids("swarm.clients", config.swarm.clients)
    parse_ids("data.malicious", config.data.malicious)
    if config.data.dataset == "npz" and not config.data.npz:
        raise ConfigError('data.dataset = "npz": name the file in data.npz')
    return config
