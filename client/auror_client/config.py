"""The client's settings: TOML, ``AUROR_CLIENT__SECTION__KEY``, ``--set section.key=value``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from auror.deployment.addresses import check_address, parse_ids
from auror.deployment.data_choice import OWN, choose_data
from auror.deployment.settings import Section, load
from auror.deployment.without_effect import WithoutEffect, refuse_idle
from auror.distribution import check_drawn
from auror.ids import ClientId
from auror.params import MAX_DIM, PACKAGED, PARTITION, SEED, OwnRules

PREFIX = "AUROR_CLIENT"
CLIENT = "{client}"
"""Stands for the client's number in paths."""
SYNTHETIC = "synthetic"
"""The data set's name in load tests: numbers, no samples."""


class ClientSection(Section):
    """Where the server is, who this is, and resources."""

    server: str = "127.0.0.1:7443"
    """host:port of the server; the host must be one that `auror certs --server` named."""
    credentials: Path = Path("certs/clients/000")
    """Folder of this client's credentials; of many clients, the folder above them."""
    state: Path = Path("state")
    """Folder for what this client must not forget over restarts."""
    model: str = "{state}/client-{client}"
    """Folder that gets the trained model at the end, for `auror export` and `auror evaluate`;
    {state} stands for the deployment's folder in client.state, {client} for the client's number,
    000; "" = it is not wanted."""
    device: str = "cpu"
    """auto, cpu, cuda or cuda:N, for training."""
    threads: int = Field(default=2, ge=1, le=64)
    """Threads for cryptography and arrays."""
    training_threads: int = Field(default=1, ge=1, le=64)
    """Clients of this process that train at the same time."""
    give_up_after_s: float = Field(default=120, gt=0)
    """End when the server could not be reached for this long."""
    stand: bool = False
    """Stay for the next training, and wait for a server that is away however long it takes."""
    max_dim: int = Field(default=MAX_DIM, ge=1)
    """Largest model this client accepts, in entries."""
    log: Literal["console", "json"] = "console"
    """Form of the log on standard error."""
    quiet: bool = False
    """Only warnings and errors."""
    core_dumps: bool = False
    """Allow core dumps and debuggers, to look for a fault of the program: both show keys, masks
    and updates."""


class DataSection(Section):
    """This client's samples."""

    task: str = ""
    """package.module:name when the policy trains code of your own: no other code is imported."""
    dataset: str = ""
    """digits, mnist5k, mnist, fashion_mnist, gtsrb, signs-synthetic, "own" (data.path) or
    "synthetic" (load tests); "" = mnist5k, or what data.task loads."""
    data_dir: str = ""
    """Folder of the data set where it is not packaged."""
    path: str = ""
    """Own samples: an npz file, a CSV file or a folder with a folder of images per class;
    {client} stands for the client's number, 000. Selects dataset = "own"."""
    label_column: str = ""
    """Of a CSV file; "" = the last one."""
    range: str = ""
    """In which range own samples are, e.g. "0:1"; "" = as the task says."""
    partition: str = PARTITION
    """How a shared data set is dealt out: iid, dirichlet:ALPHA or shards:K; tracks of signs stay
    whole except with iid-samples or dirichlet-samples:ALPHA."""
    parts: int = Field(default=0, ge=0)
    """Into how many parts; 0 = one per client that was ever enrolled."""
    part: int = Field(default=-1, ge=-1)
    """Which part is this client's; -1 = the one with its own number."""
    seed: int = Field(default=SEED, ge=0)
    """Seed of the data split; the same at server and clients."""
    attack: str = "none"
    """Play an attacker, e.g. flip:4:9 (to test a deployment's defence)."""
    malicious: str = ""
    """Of many clients in one process, those that attack, e.g. "3,7-9"; "" = none."""


class RulesSection(Section):
    """This client's own rules, tighter than the operator's policy; 0 = as the policy says."""

    min_group: int = Field(default=0, ge=0)
    """Fewest members of a group whose statistics it helps to open."""
    min_present: int = Field(default=0, ge=0)
    """Fewest clients in a round it takes part in."""
    min_accepted: int = Field(default=0, ge=0)
    """Fewest clients in a total that it helps to open."""
    max_statistics: int = Field(default=0, ge=0)
    """Most statistics per group that it may be asked for."""
    max_openings: int = Field(default=0, ge=0)
    """Attempts it joins over all trainings: the budget of its data."""


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
    delay: str = ""
    """Seconds by which a client's training takes longer, drawn in every round: 2, uniform:LOW:HIGH,
    exponential:MEAN or lognormal:MEDIAN:SIGMA; "" = none."""
    bandwidth: str = ""
    """Mbit/s of a client's link, up and down each, drawn once per client, as for delay, 0.1 at
    least; "" = no bound."""
    churn: float = Field(default=0.0, ge=0, lt=1)
    """Chance, per round, that a client's connection breaks once, and is made again."""
    malformed: float = Field(default=0.0, ge=0, lt=1)
    """Chance, per round, that a client sends something that is no message of the protocol."""
    seed: int = Field(default=0, ge=0)
    """Decides which rounds those are."""

    @property
    def wanted(self) -> bool:
        """Whether there is any fault."""
        chances = self.dropout or self.churn or self.malformed
        return bool(chances or self.delay or self.bandwidth)


class ClientConfig(Section):
    """Everything."""

    client: ClientSection = ClientSection()
    data: DataSection = DataSection()
    rules: RulesSection = RulesSection()
    """This client's own rules, tighter than the operator's policy; 0 = as the policy says."""
    swarm: SwarmSection = SwarmSection()
    record: RecordSection = RecordSection()
    faults: FaultsSection = FaultsSection()

    def own_rules(self) -> OwnRules:
        return OwnRules(**{name: value or None for name, value in self.rules.model_dump().items()})


MOVED: Mapping[str, str] = {
    "policy": "is no setting: the operator's policy.json decides, and [rules] may be tighter"
}


_DATASET = 'with data.dataset = "{data.dataset}"'
_SHARED_ONLY = ("data.data_dir", "data.partition", "data.parts", "data.part")
IDLE: tuple[WithoutEffect[ClientConfig], ...] = (
    WithoutEffect(_SHARED_ONLY, lambda c: c.data.dataset in {OWN, SYNTHETIC}, _DATASET),
    WithoutEffect(("data.data_dir",), lambda c: c.data.dataset in {"", *PACKAGED}, _DATASET),
    WithoutEffect(("data.label_column", "data.range"), lambda c: c.data.dataset != OWN, _DATASET),
    WithoutEffect(
        ("data.task", "client.device"),
        lambda c: c.data.dataset == SYNTHETIC,
        _DATASET,
    ),
    WithoutEffect(("data.malicious",), lambda c: c.data.attack == "none", "without data.attack"),
    WithoutEffect(
        ("data.seed",),
        lambda c: c.data.dataset in {OWN, SYNTHETIC} and c.data.attack == "none",
        f"{_DATASET} and no data.attack",
    ),
    WithoutEffect(
        ("client.training_threads",),
        lambda c: len(parse_ids("swarm.clients", c.swarm.clients)) < 2,
        "for one client; swarm.clients names several",
    ),
    WithoutEffect(("client.give_up_after_s",), lambda c: c.client.stand, "with client.stand"),
    WithoutEffect(("faults.seed",), lambda c: not c.faults.wanted, "without any fault"),
)
"""What is set in vain."""


def of_client(path: str, client: ClientId) -> str:
    """``path`` with ``client`` where ``CLIENT`` stands."""
    return path.replace(CLIENT, f"{client:03d}")


def load_config(
    path: Path | None, environment: Mapping[str, str], flags: Sequence[str]
) -> ClientConfig:
    """Raises ConfigError: one line with the fix."""
    config = load(ClientConfig, path, PREFIX, environment, flags, MOVED)
    check_address("client.server", config.client.server)
    parse_ids("swarm.clients", config.swarm.clients)
    parse_ids("data.malicious", config.data.malicious)
    check_drawn(config.faults, "faults.")
    config = config.model_copy(update={"data": choose_data(config.data, "data", "path")})
    refuse_idle(config, IDLE)
    return config
