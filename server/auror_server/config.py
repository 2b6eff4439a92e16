"""The server's settings: TOML, ``AUROR_SERVER__SECTION__KEY``, ``--set section.key=value``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from auror.deployment.addresses import check_address
from auror.deployment.data_choice import OWN, choose_data
from auror.deployment.settings import Section, load
from auror.deployment.without_effect import WithoutEffect, refuse_idle
from auror.errors import ConfigError
from auror.fields import default_of
from auror.params import (
    DETECTOR,
    ERROR_RATE,
    PACKAGED,
    ROUNDS,
    SEED,
)
from auror.training.config import AfterFlag, CampaignConfig
from auror.training.detectors import ChosenDetector, DetectorDials, choose_detector
from auror.training.observations import PlanChoice

PREFIX = "AUROR_SERVER"


class ServerSection(Section):
    """Addresses, files and resources."""

    listen: str = "127.0.0.1:7443"
    """host:port for clients (mutual TLS); 0.0.0.0 listens on every interface."""
    health: str = "127.0.0.1:7444"
    """host:port of the plaintext gRPC health service; "" turns it off."""
    metrics: str = ""
    """host:port for Prometheus, e.g. 127.0.0.1:9464: plain HTTP at /metrics, for everybody who can
    reach it; "" turns it off."""
    credentials: Path = Path("certs/server")
    """Folder with ca.pem, cert.pem, key.pem, policy.json, operator.pub and models/."""
    run_dir: Path = Path("runs/server")
    """Run folder; an unfinished run in it is resumed."""
    runs: str = ""
    """Stand, and run the trainings that `auror start` asks for, one after the other: each in a run
    folder of its own in this one, 0001, 0002, …; "" = one training, in server.run_dir."""
    from_model: str = ""
    """Model file that the training is to begin from; it must be the first model that the policy
    signs (`auror certs --from-model`). "" = whatever the policy signs."""
    log: Literal["console", "json"] = "console"
    """Form of the log on standard error."""
    verbose: bool = False
    """Also log every phase of a round, not only its end."""
    core_dumps: bool = False
    """Allow core dumps and debuggers, to look for a fault of the program: both show keys."""
    threads: int = Field(default=2, ge=1, le=64)
    """Threads for decoding, cryptography and arrays."""
    keep_totals: bool = False
    """Also keep every opened total as a blob (load tests compare them)."""
    generation: int = Field(default=0, ge=0)
    """After damage: the generation to go on from, as the server names it; 0 = none was named."""
    report: bool = True
    """Write report.html into the run folder at the end, in a process of its own."""


class SessionSection(Section):
    """One training run and its clock."""

    rounds: int = Field(default=ROUNDS, ge=1)
    """Rounds of one training, each with a total; a restart after a flag trains as many again."""
    add_rounds: int = Field(default=0, ge=0)
    """Extend the finished run in server.run_dir by so many; session.rounds has no say then."""
    max_failed: int = Field(default=0, ge=0)
    """Give up after this many rounds of a training without a total; 0 = as many as session.rounds,
    ten at least."""
    min_clients: int = Field(default=0, ge=0)
    """Begin a round with this many connected clients; 0 = all that were ever expected."""
    join_timeout_s: float = Field(default=120, gt=0)
    """How long to wait for min_clients before the server gives up."""
    phase_deadline_s: float = Field(default=60, gt=0)
    """Deadline of every phase but the upload, and of handing out the final model."""
    upload_deadline_s: float = Field(default=600, gt=0)
    """Deadline of the upload phase, local training included."""
    reconnect_grace_s: float = Field(default=5, ge=0)
    """A client gone for longer than this no longer holds up a phase."""
    max_aborted: int = Field(default=5, ge=1)
    """Give up after this many aborted rounds in a row."""
    after_flag: AfterFlag = default_of(CampaignConfig, "after_flag")
    """What a flag does to the training: "restart" (when its rounds are done another begins, from
    a fresh model and without the flagged) or "continue"."""
    defend: bool = default_of(CampaignConfig, "defend")
    """Whether verdicts have consequences."""
    detector: str = DETECTOR
    """Who reads the statistics: decoded (label confusion), direction (the output layer), or your
    own as package.module:attribute, imported from this machine."""
    flag_small_cohorts: bool = default_of(CampaignConfig, "flag_small_cohorts")
    """Flag with detector decoded in cohorts of fewer than 15 clients too, where its error rate is
    not claimed; otherwise whom it accuses there is shown, and nobody is flagged."""
    error_rate: float = Field(default=ERROR_RATE, gt=0, lt=1)
    """Of detector decoded: at most the chance that a training in which nobody lies accuses
    anybody."""


class StatisticsSection(Section):
    """What is opened per group: the fewer, the less the server learns."""

    confusion: bool = default_of(PlanChoice, "confusion")
    """Label-confusion statistics, classes × classes."""
    output_layer: bool = False
    """The output layer's entries themselves."""
    sketch_rows: int = Field(default=0, ge=0)
    """Rows of a sketch of the whole update; 0 = off."""


class LearningSection(Section):
    """The server's own samples: what is trained stands in the signed policy."""

    task: str = ""
    """package.module:name when the policy trains code of your own: no other code is imported."""
    dataset: str = ""
    """digits, mnist5k, mnist, fashion_mnist, gtsrb, signs-synthetic or "own" (learning.data): the
    server's own test samples; "" = mnist5k, or what learning.task loads."""
    data_dir: str = ""
    """Folder of the data set where it is not packaged."""
    data: str = ""
    """Own samples: an npz file, a CSV file, a folder with a folder of images per class, or one
    with the part test. Selects dataset = "own"."""
    label_column: str = ""
    """Of a CSV file; "" = the last one."""
    range: str = ""
    """In which range own samples are, e.g. "0:1"; "" = as the task says."""
    device: str = "cpu"
    """auto, cpu, cuda or cuda:N, for the server's own evaluation."""
    seed: int = Field(default=SEED, ge=0)
    """Seed of the data split; the same at server and clients."""
    report_attack: str = ""
    """E.g. flip:4:9: classes that the evaluation reports on; nothing else looks at it."""


_IN_POLICY = "stands in the signed policy now: enrol with `auror certs"
MOVED: Mapping[str, str] = {
    "round.group_size": f"{_IN_POLICY} --group-size`",
    "round.colluders": f"{_IN_POLICY} --colluders`",
    "round": f"{_IN_POLICY}`",
    "learning.model": f"{_IN_POLICY} --task`",
    **dict.fromkeys(
        (
            f"learning.{name}"
            for name in (
                "host",
                "hidden",
                "epochs",
                "batch_size",
                "learning_rate",
                "momentum",
                "weight_decay",
                "dim",
            )
        ),
        f"{_IN_POLICY}`",
    ),
}
"""Settings that a server no longer decides, and where they went."""


class ServerConfig(Section):
    """Everything."""

    server: ServerSection = ServerSection()
    session: SessionSection = SessionSection()
    statistics: StatisticsSection = StatisticsSection()
    learning: LearningSection = LearningSection()

    def campaign(self, synthetic: bool = False) -> CampaignConfig:
        """``synthetic``: the policy's task has no model behind it, so there is nothing to read.

        Raises:
            ConfigError: a detector that cannot be used, or that reads what is not opened.
        """
        session, statistics = self.session, self.statistics
        if synthetic and statistics.output_layer:
            raise ConfigError(
                "statistics.output_layer = true has no effect in a load test, whose model has no"
                " layers: leave it out"
            )
        plan = PlanChoice(
            confusion=statistics.confusion and not synthetic,
            output_layer=statistics.output_layer,
            sketch_rows=statistics.sketch_rows,
        )
        defend = session.defend and not synthetic
        detector = choose_detector(session.detector if defend else DETECTOR)
        if defend:
            _check_detector(detector, plan)
        return CampaignConfig(
            rounds=session.add_rounds or session.rounds,
            max_failed=session.max_failed,
            after_flag=session.after_flag,
            defend=defend,
            plan=plan,
            detector=detector.kind.make(DetectorDials(session.error_rate)),
            flag_small_cohorts=session.flag_small_cohorts,
        )


_DATASET = 'with learning.dataset = "{learning.dataset}"'
IDLE: tuple[WithoutEffect[ServerConfig], ...] = (
    WithoutEffect(
        ("server.run_dir", "server.from_model", "server.generation", "session.add_rounds"),
        lambda c: bool(c.server.runs),
        "with server.runs",
    ),
    WithoutEffect(
        (
            "session.detector",
            "session.after_flag",
            "session.error_rate",
            "session.flag_small_cohorts",
        ),
        lambda c: not c.session.defend,
        "with session.defend = false",
    ),
    WithoutEffect(
        ("session.error_rate", "session.flag_small_cohorts"),
        lambda c: not choose_detector(c.session.detector).kind.rated,
        'with session.detector = "{session.detector}"',
    ),
    WithoutEffect(
        ("learning.data_dir",), lambda c: c.learning.dataset in {"", OWN, *PACKAGED}, _DATASET
    ),
    WithoutEffect(
        ("learning.label_column", "learning.range"), lambda c: c.learning.dataset != OWN, _DATASET
    ),
)
"""What is set in vain."""


def _check_detector(detector: ChosenDetector, plan: PlanChoice) -> None:
    kind = detector.kind
    if kind.thresholds:
        raise ConfigError(
            f"session.detector = {detector} needs a run known to be honest to set its α: use `auror"
            " simulate`, or name another detector"
        )
    for part in ("output_layer", "sketch_rows"):
        if getattr(kind.plan, part) and not getattr(plan, part):
            raise ConfigError(
                f"session.detector = {detector} reads statistics.{part}: turn it on, name another"
                " detector, or set session.defend = false"
            )


def load_config(
    path: Path | None, environment: Mapping[str, str], flags: Sequence[str]
) -> ServerConfig:
    """Raises ConfigError: one line with the fix."""
    config = load(ServerConfig, path, PREFIX, environment, flags, MOVED)
    check_address("server.listen", config.server.listen)
    if config.server.health:
        check_address("server.health", config.server.health)
        if config.server.health == config.server.listen:
            raise ConfigError('server.health: give it a port of its own, or "" to turn it off')
    if config.server.metrics:
        check_address("server.metrics", config.server.metrics)
        if config.server.metrics in {config.server.listen, config.server.health}:
            raise ConfigError('server.metrics: give it a port of its own, or "" to turn it off')
    learning = choose_data(config.learning, "learning", "data")
    config = config.model_copy(update={"learning": learning})
    refuse_idle(config, IDLE)
    return config
