"""The server's settings: TOML, ``AUROR_SERVER__SECTION__KEY``, ``--set section.key=value``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from auror.errors import ConfigError
from auror.params import RoundParams
from auror.round.campaign import AfterFlag, CampaignConfig
from auror.round.evidence import PlanChoice
from auror.wire.addresses import check_address
from auror.wire.settings import Section, load

PREFIX = "AUROR_SERVER"


class ServerSection(Section):
    """Addresses, files and resources."""

    listen: str = "127.0.0.1:7443"
    """host:port for clients (mutual TLS); 0.0.0.0 listens on every interface."""
    health: str = "127.0.0.1:7444"
    """host:port of the plaintext gRPC health service; "" turns it off."""
    credentials: Path = Path("certs/server")
    """Folder with ca.pem, cert.pem, key.pem, roster.json and operator.pub."""
    run_dir: Path = Path("runs/server")
    """Run folder; an unfinished run in it is resumed."""
    log: Literal["console", "json"] = "console"
    """Form of the log on standard error."""
    threads: int = Field(default=2, ge=1, le=64)
    """Threads for decoding, cryptography and arrays."""
    keep_totals: bool = False
    """Also keep every opened total as totals/ROUND.npy (load tests compare them)."""


class SessionSection(Section):
    """One training run and its clock."""

    rounds: int = Field(default=30, ge=1)
    """Rounds of one training; a restart after a flag trains as many again."""
    min_clients: int = Field(default=0, ge=0)
    """Begin a round with this many connected clients; 0 = all that were ever expected."""
    join_timeout_s: float = Field(default=120, gt=0)
    """How long to wait for min_clients before the server gives up."""
    phase_deadline_s: float = Field(default=60, gt=0)
    """Deadline of every phase but the upload."""
    upload_deadline_s: float = Field(default=600, gt=0)
    """Deadline of the upload phase, local training included."""
    reconnect_grace_s: float = Field(default=5, ge=0)
    """A client gone for longer than this no longer holds up a phase."""
    max_aborted: int = Field(default=5, ge=1)
    """Give up after this many aborted rounds in a row."""
    after_flag: AfterFlag = AfterFlag.RESTART
    """What a flag does to the training: "restart" or "continue"."""
    defend: bool = True
    """Whether verdicts have consequences."""


class RoundSection(Section):
    """What every round description binds (see `auror plan` for the arithmetic)."""

    group_size: int = 5
    """g: clients per group, the privacy dial (1 = statistics in the clear)."""
    colluders: int = 9
    """c: clients assumed to collude."""
    quantisation_bits: int = 16
    """b: bits of one quantised entry."""
    quantisation_range: float = 0.5
    """Updates are clipped to ± this."""
    challenge_rows: int = 8
    """Rows of the sketch that nobody can foresee; 0 = off."""
    min_accepted_groups: int = 1
    """A round with fewer accepted groups is discarded."""
    max_attempts: int = 3
    """Openings of statistics that one model may cause."""
    dropouts: float = 0.1
    """Fraction of a large cohort that may be silent or left out."""
    audit_probability: float = 0.1
    """Chance that a round leaves out a random group after its statistics are open; 0 = off."""


class StatisticsSection(Section):
    """What is opened per group: the fewer, the less the server learns."""

    confusion: bool = True
    """Label-confusion statistics, classes × classes."""
    output_layer: bool = False
    """The output layer's entries themselves."""
    sketch_rows: int = Field(default=0, ge=0)
    """Rows of a sketch of the whole update; 0 = off."""


class LearningSection(Section):
    """Model and training task."""

    host: Literal["torch", "synthetic"] = "torch"
    """"synthetic" has no model behind it: load tests."""
    dataset: str = "mnist5k"
    """digits, mnist5k or mnist: the server's own clean and test samples."""
    data_dir: str = ""
    """Folder of the data set where it is not packaged."""
    clean_samples: int = Field(default=100, ge=0, le=100)
    """Clean samples to read label confusion with; 0 = none, the model's own weights serve."""
    model: Literal["mlp", "cnn"] = "mlp"
    hidden: int = Field(default=64, ge=1)
    """Width of the layer before the output."""
    epochs: int = Field(default=2, ge=1)
    batch_size: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=0.1, gt=0)
    momentum: float = Field(default=0.0, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)
    device: str = "cpu"
    """auto, cpu, cuda or cuda:N, for the server's own evaluation."""
    seed: int = Field(default=1, ge=0)
    """Seed of the initial models and of the data split."""
    report_attack: str = ""
    """E.g. flip:4:9: classes that the evaluation reports on; nothing else looks at it."""
    dim: int = Field(default=10_000, ge=1)
    """Entries of a synthetic model."""


class ServerConfig(Section):
    """Everything."""

    server: ServerSection = ServerSection()
    session: SessionSection = SessionSection()
    round: RoundSection = RoundSection()
    statistics: StatisticsSection = StatisticsSection()
    learning: LearningSection = LearningSection()

    def round_params(self) -> RoundParams:
        """Raises ConfigError with the arithmetic when a value cannot be used."""
        return RoundParams(**self.round.model_dump())

    def campaign(self) -> CampaignConfig:
        synthetic = self.learning.host == "synthetic"
        statistics = self.statistics
        return CampaignConfig(
            params=self.round_params(),
            rounds=self.session.rounds,
            after_flag=self.session.after_flag,
            defend=self.session.defend and not synthetic,
            plan=PlanChoice(
                confusion=statistics.confusion and not synthetic,
                output_layer=statistics.output_layer and not synthetic,
                sketch_rows=statistics.sketch_rows,
            ),
        )


def load_config(
    path: Path | None, environment: Mapping[str, str], flags: Sequence[str]
) -> ServerConfig:
    """Raises ConfigError: one line with the fix."""
    config = load(ServerConfig, path, PREFIX, environment, flags)
    config.round_params()
    check_address("server.listen", config.server.listen)
    if config.server.health:
        check_address("server.health", config.server.health)
        if config.server.health == config.server.listen:
            raise ConfigError('server.health: give it a port of its own, or "" to turn it off')
    return config
