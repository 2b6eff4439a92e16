"""One experiment, validated: what ``auror simulate`` and ``auror demo`` can be asked for."""

from __future__ import annotations

import enum
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from auror.errors import ConfigError
from auror.experiments.hopeless import idle, too_short, undetectable
from auror.experiments.options import Options, thirty_percent
from auror.fields import Like, check_fields, default_of
from auror.learn.attack import Attack, Own
from auror.learn.attacks import Forged, parse_attack
from auror.learn.datasets import classes_of
from auror.learn.own_data import DataSource
from auror.learn.partition import Partition, parse_partition
from auror.learn.tasks import ChosenTask, choose_task
from auror.learn.training import TrainingParams
from auror.params import DATASET, DETECTOR, RATED_CLIENTS, RoundParams
from auror.registry import check_lasting
from auror.round.arithmetic import check_round
from auror.rules.choice import RULES, ChosenRule, choose_rule
from auror.sim.simulate import Aggregation
from auror.training.config import AfterFlag
from auror.training.detectors import DETECTORS, ChosenDetector, choose_detector
from auror.training.notices import too_few


class RunName(enum.StrEnum):
    """The four runs of an experiment; all start from the same model and the same data."""

    CLEAN = "clean"
    """All clients honest, plain averaging: what could be had without an attacker."""
    UNDEFENDED = "undefended"
    """Attacked, plain averaging: what the attack does."""
    ORACLE = "oracle"
    """The honest clients alone: the best any defence can reach."""
    DEFENDED = "defended"
    """Attacked, with AUROR on group sums under secure aggregation."""


class Medium(enum.StrEnum):
    """Where the defended run takes place."""

    MEMORY = "memory"
    GRPC = "grpc+mtls"


ALL_RUNS = tuple(RunName)
_WITHOUT_SAMPLES = (
    "clean_per_class = 0: label rows are read along the model's output weights, of which error_rate"
    " is not claimed; leave it out, or choose 1 or more"
)
_Number = Annotated[int, Like(Options)]


@dataclass(frozen=True, slots=True)
class Dropout:
    """Fractions of the cohort, in [0, 1), that vanish in every round of the defended run."""

    before: float = 0.0
    """Before the upload."""
    after: float = 0.0
    """After the upload, before the statistics."""

    def __post_init__(self) -> None:
        for name, value in (("before", self.before), ("after", self.after)):
            if not 0 <= value < 1:
                raise ConfigError(f"dropout {name} upload must be in [0, 1), not {value:g}")


NONE_VANISH = Dropout()


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """Everything that decides an experiment's outcome, and nothing that does not."""

    dataset: str = DATASET
    """"": of a task of one's own, which loads its samples or takes the usual data set."""
    data_dir: Path | None = None
    data: Path | None = None
    """Own samples, dealt to the clients; ``dataset`` is then without effect."""
    label_column: str = Options.label_column
    data_range: str = Options.data_range
    clients: _Number = Options.clients
    malicious: _Number = thirty_percent(Options.clients)
    attack: Attack | None = field(default_factory=lambda: parse_attack(Options.attack))
    partition: Partition = field(default_factory=lambda: parse_partition(Options.partition))
    clean_per_class: _Number = Options.clean_per_class
    """Clean samples of each class, to read class means from; 0: the centred output weights
    stand in."""
    task: ChosenTask = field(default_factory=lambda: choose_task(Options.task))
    training: TrainingParams = field(default_factory=TrainingParams)
    rounds: _Number = Options.rounds
    seed: _Number = Options.seed
    round_params: RoundParams = field(default_factory=RoundParams)
    rule: ChosenRule | None = None
    """What defends the defended run; None: AUROR on group sums. A rule sees every client's update,
    so there is no secure aggregation then."""
    detector: ChosenDetector = field(default_factory=lambda: choose_detector(Options.detector))
    """What AUROR reads and how."""
    error_rate: Annotated[float, Like(Options)] = Options.error_rate
    """What AUROR's own detector is told."""
    flag_small_cohorts: bool = Options.flag_small_cohorts
    """Whether it flags where its error rate is not claimed."""
    alpha: Annotated[float | None, Like(Options)] = Options.alpha
    """Of the published detector: centre distance that makes a feature indicative, in units of the
    update; None takes the smallest that names no feature in a run known to be honest."""
    tau: Annotated[float, Like(Options)] = Options.tau
    aggregation: Aggregation = Aggregation(Options.aggregation)
    after_flag: AfterFlag = AfterFlag(Options.after_flag)
    runs: tuple[RunName, ...] = ALL_RUNS
    dropout: Dropout = field(default_factory=Dropout)
    device: str = Options.device

    def __post_init__(self) -> None:
        check_fields(self)
        if self.malicious >= self.clients:
            raise ConfigError(
                f"malicious = {self.malicious}: choose 0 … {self.clients - 1} of {self.clients}"
                " clients"
            )
        if self.malicious and self.attack is None:
            raise ConfigError(
                f"malicious = {self.malicious} with attack = none: choose malicious = 0 or an"
                f" attack such as attack = {Options.attack}"
            )
        if self.attack is not None and not self.task.own and self.data is None:
            classes = classes_of(self.dataset)
            if classes is not None:
                self.attack.check(classes)  # before the samples are read, which may take long
        if not self.runs:
            raise ConfigError(f"runs is empty: choose of {', '.join(ALL_RUNS)}")
        if self.detector.kind.single and self.round_params.group_size != 1 and self.rule is None:
            raise ConfigError(
                f"detector = {self.detector} looks at single clients: add group_size = 1 (it is"
                " AUROR as published, without group privacy)"
            )
        if RunName.DEFENDED in self.runs and self.rule is not None:
            self.rule.check(self.clients, self.round_params.colluders, self.clean_per_class)
        elif RunName.DEFENDED in self.runs:
            topology = check_round(self.round_params, self.clients)
            silent = sum(
                math.floor(part * self.clients)
                for part in (self.dropout.before, self.dropout.after)
            )
            topology.check_liveness(silent)

    @property
    def source(self) -> DataSource:
        """Which samples are meant."""
        return DataSource(
            self.dataset, self.data_dir, self.data, self.label_column, self.data_range
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not claimed of this experiment, a line each."""
        attacked = {RunName.UNDEFENDED, RunName.DEFENDED} & set(self.runs)
        never = idle(self.attack, self.rounds) if self.malicious and attacked else None
        awake = () if never is None else (never,)
        if RunName.DEFENDED not in self.runs or self.rule is not None:
            return awake
        judged, params = self.detector.name == DETECTOR, self.round_params
        tested = not judged or self.flag_small_cohorts or self.clients >= RATED_CLIENTS
        hopeless = undetectable(self.clients, self.malicious, params, tested)
        if not judged:
            return (*awake, *hopeless)
        bare = None if self.clean_per_class else _WITHOUT_SAMPLES
        few = too_few(self.clients, self.flag_small_cohorts)
        # Where nobody can be flagged at all, more rounds do not help.
        short = too_short(self.clients, self.rounds, params) if tested and not hopeless else None
        return tuple(line for line in (*awake, bare, few, *hopeless, short) if line is not None)

    def check_lasting(self) -> None:
        """Raises ConfigError when a run folder could not name what somebody gave as an object."""
        rule, payload = self.rule, self.attack
        if isinstance(payload, Forged) and payload.payload is not None:
            payload = payload.payload
        for kind, name, own in (
            ("task", self.task.name, self.task.own),
            ("attack", str(payload), isinstance(payload, Own)),
            ("rule", str(rule), rule is not None and rule.name not in RULES),
            ("detector", self.detector.name, self.detector.name not in DETECTORS),
        ):
            if own:
                check_lasting(kind, name)

    def to_dict(self) -> dict[str, Any]:
        """TOML and JSON values; options appear as they are written on the command line.

        ``clean_per_class``, ``watch_rate``, ``flag_small_cohorts``, ``rule`` and own data are
        written only where they are not the default: what was made before they were dials keeps its
        name in caches.
        """
        rounds = asdict(self.round_params)
        if self.round_params.watch_rate == default_of(RoundParams, "watch_rate"):
            del rounds["watch_rate"]
        plain = {
            "dataset": self.dataset,
            "data_dir": "" if self.data_dir is None else str(self.data_dir),
            "clients": self.clients,
            "malicious": self.malicious,
            "attack": "none" if self.attack is None else str(self.attack),
            "partition": str(self.partition),
            "task": self.task.name,
            "rounds": self.rounds,
            "seed": self.seed,
            "detector": self.detector.name,
            "alpha": self.alpha,
            "tau": self.tau,
            "aggregation": self.aggregation.value,
            "after_flag": self.after_flag.value,
            "runs": [run.value for run in self.runs],
            "device": self.device,
            "training": asdict(self.training),
            "round": rounds,
            "dropout": asdict(self.dropout),
        }
        if self.clean_per_class != Options.clean_per_class:
            plain["clean_per_class"] = self.clean_per_class
        if self.error_rate != Options.error_rate:
            plain["error_rate"] = self.error_rate
        if self.flag_small_cohorts:
            plain["flag_small_cohorts"] = True
        if self.rule is not None:
            plain["rule"] = self.rule.name
        if self.data is not None:
            plain["data"] = str(self.data)
            plain["label_column"] = self.label_column
            plain["data_range"] = self.data_range
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> ExperimentConfig:
        """The inverse of ``to_dict``.

        Raises:
            ConfigError: a key is missing or unknown, or a value cannot be used.
        """
        try:
            values = dict(plain)
            directory, own = str(values.pop("data_dir")), str(values.pop("data", ""))
            runs = values.pop("runs")
            if not isinstance(runs, list):
                raise ConfigError("run folder: config.json: runs must be a list")
            return cls(
                data_dir=Path(directory) if directory else None,
                data=Path(own) if own else None,
                attack=parse_attack(str(values.pop("attack"))),
                partition=parse_partition(str(values.pop("partition"))),
                task=choose_task(str(values.pop("task"))),
                rule=choose_rule(values.pop("rule", None)),
                detector=choose_detector(str(values.pop("detector"))),
                aggregation=Aggregation(str(values.pop("aggregation"))),
                after_flag=AfterFlag(str(values.pop("after_flag"))),
                runs=tuple(RunName(str(run)) for run in runs),
                training=TrainingParams(**_section(values, "training")),
                round_params=RoundParams(**_section(values, "round")),
                dropout=Dropout(**_section(values, "dropout")),
                **values,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"config.json is not of this version: {error}") from error


def _section(values: dict[str, Any], name: str) -> dict[str, Any]:
    section = values.pop(name)
    if not isinstance(section, dict):
        raise ConfigError(f"config.json: {name} must be a section")
    return section
