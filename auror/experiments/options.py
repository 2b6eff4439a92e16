"""The dials of an experiment, and the way from words to one validated experiment.

``Options`` is the one place that says what can be asked for, with default, meaning and range:
flags, help texts, manifests of sweeps and ``ExperimentConfig`` take them from here. It loads
neither torch nor scipy, so that a help text is there at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from auror.deployment.data_choice import OWN
from auror.errors import ConfigError
from auror.fields import Like, Range, check_fields, default_of, fields_of
from auror.params import (
    CLEAN_PER_CLASS,
    DATASET,
    DETECTOR,
    ERROR_RATE,
    PACKAGED,
    PARTITION,
    RATED_CLIENTS,
    ROUNDS,
    SEED,
    TAU,
    RoundParams,
)
from auror.rules.choice import AUROR, choose_rule

if TYPE_CHECKING:
    from auror.experiments.config import ExperimentConfig, RunName
    from auror.learn.attack import Attack
    from auror.learn.tasks import ChosenTask
    from auror.learn.training import TrainingParams

_OfRound = Annotated[int, Like(RoundParams)]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Every dial of an experiment; None: decided by the others. In a program ``task``, ``attack``,
    ``rule`` and ``detector`` may be objects instead of their names."""

    dataset: str = ""
    """digits, mnist5k (both offline), mnist, fashion_mnist, gtsrb or signs-synthetic (drawn); by
    default mnist5k, or the samples that a task of one's own loads."""
    data_dir: str | None = None
    """Folder of torchvision's sets; downloaded there when absent."""
    data: str | None = None
    """Own samples instead: an npz or CSV file, a folder with a folder of images per class, or one
    with the parts test, clean and train."""
    label_column: str = ""
    """Of a CSV file; by default the last one."""
    data_range: str = ""
    """In which range own samples are, as LOW:HIGH; by default as the task says."""
    clients: Annotated[int, Range(2)] = 30
    """n, clients enrolled."""
    malicious: Annotated[int, Range(0)] | None = None
    """How many of them, drawn from the seed, attack; by default 30 % of the clients, at least one;
    with attack = none nobody."""
    attack: Any = "flip:4:9"
    """none, flip:SOURCE:TARGET[:FRACTION], another of docs/attacks.md, or your own as
    package.module:attribute."""
    partition: str = PARTITION
    """iid, or for label skew dirichlet:ALPHA or shards:K; tracks of signs stay whole except with
    iid-samples or dirichlet-samples:ALPHA."""
    clean_per_class: Annotated[int, Range(0)] = CLEAN_PER_CLASS
    """Signed clean samples of each class; 0 = none, the model's output weights serve."""
    task: Any = "mlp"
    """What is trained: mlp, cnn, resnet18:width=16, or one's own as package.module:name."""
    group_size: _OfRound = default_of(RoundParams, "group_size")
    rounds: Annotated[int, Range(1)] = ROUNDS
    """Rounds of one training; a restart trains as many again."""
    seed: Annotated[int, Range(0)] = SEED
    """Decides everything random."""
    colluders: Annotated[int, Range(0)] | None = None
    """c, clients assumed to collude; by default 30 % of the clients."""
    after_flag: Literal["restart", "continue"] = "restart"
    """What a flag does to the training: when its rounds are done another begins without the
    flagged, or none."""
    epochs: Annotated[int, Range(1)] | None = None
    """Local epochs per round; by default the task's."""
    batch_size: Annotated[int, Range(1)] | None = None
    """Samples per local step; by default the task's."""
    learning_rate: Annotated[float, Range(above=0)] | None = None
    """Of local SGD; by default the task's."""
    quantisation_bits: _OfRound = default_of(RoundParams, "quantisation_bits")
    quantisation_range: Annotated[float, Like(RoundParams)] = default_of(
        RoundParams, "quantisation_range"
    )
    audit_probability: Annotated[float, Like(RoundParams)] = default_of(
        RoundParams, "audit_probability"
    )
    watch_rate: Annotated[float, Like(RoundParams)] = default_of(RoundParams, "watch_rate")
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    aggregation: Literal["secure", "plain"] = "secure"
    """plain computes the same sums without masks."""
    rule: Any = AUROR
    """What defends: auror; or, seeing every update, mean, krum, multi-krum, median, trimmed-mean,
    rfa, foolsgold, fltrust, or your own as package.module:attribute."""
    detector: Any = DETECTOR
    """How auror reads the statistics: decoded, direction (the output layer), published (AUROR as
    published, groups of one), or your own as package.module:attribute."""
    error_rate: Annotated[float, Range(above=0, below=1)] = ERROR_RATE
    """Of detector decoded: at most the chance that a run in which nobody lies accuses anybody."""
    flag_small_cohorts: bool = False
    """Flag with detector decoded in cohorts of fewer than 15 clients too, where its error rate is
    not claimed; otherwise whom it accuses there is shown as suspected, and nobody is flagged."""
    alpha: Annotated[float, Range(above=0)] | None = None
    """Of the published detector: centre distance of an indicative feature, in units of the update;
    by default calibrated on an honest run."""
    tau: Annotated[float, Range(above=0, below=1)] = TAU
    """Of the published detector: part of the evidence above which a client is flagged."""
    runs: str = "clean,undefended,oracle,defended"
    """Which runs to make."""
    dropout_before: Annotated[float, Range(0, below=1)] = 0.0
    """Fraction of clients that vanish before the upload, every round."""
    dropout_after: Annotated[float, Range(0, below=1)] = 0.0
    """Fraction of clients that vanish after the upload, every round."""

    def __post_init__(self) -> None:
        check_fields(self)


DEFAULTS: Mapping[str, Any] = {name: info.default for name, info in fields_of(Options).items()}
"""Every dial of an experiment; None: decided by the others."""


def experiment_config(options: Mapping[str, Any]) -> ExperimentConfig:
    """An experiment from dials that differ from ``DEFAULTS``; None counts as not given.

    Raises:
        ConfigError: an unknown dial, a value that cannot be used, or a dial without effect.
    """
    given = {name: value for name, value in options.items() if value is not None}
    chosen = options_of(given)
    for name, reason in without_effect(chosen, given):
        raise ConfigError(f"{name} = {given[name]} has no effect {reason}: leave it out")
    return config_of(chosen)


def options_of(given: Mapping[str, Any]) -> Options:
    """The dials that are ``given``, each checked by itself, and the defaults.

    Raises:
        ConfigError: an unknown dial or a value that no experiment can have.
    """
    if unknown := sorted(given.keys() - DEFAULTS.keys()):
        raise ConfigError(f"{unknown[0]} is no dial of an experiment: {', '.join(DEFAULTS)}")
    return Options(**given)


def without_effect(options: Options, given: Collection[str]) -> Iterator[tuple[str, str]]:
    """Each of the ``given`` dials that changes nothing, and what makes it so."""
    # these may load somebody's module
    from auror.learn.attacks import choose_attack  # noqa: PLC0415
    from auror.training.detectors import choose_detector  # noqa: PLC0415

    attack, rule = choose_attack(options.attack), choose_rule(options.rule)
    detector = choose_detector(options.detector)
    runs = {word.strip() for word in options.runs.split(",")}
    defended = bool(runs & {"defended", "all"})
    attacked = defended or "undefended" in runs
    found: dict[str, str] = {}
    if not detector.kind.thresholds:
        found |= dict.fromkeys(("alpha", "tau"), f"with detector = {detector}")
    if not detector.kind.rated:
        found["error_rate"] = f"with detector = {detector}"
    if detector.name != DETECTOR:
        found["flag_small_cohorts"] = f"with detector = {detector}"
    elif options.clients >= RATED_CLIENTS:
        found["flag_small_cohorts"] = f"with clients = {options.clients}"
    if not detector.kind.plan.confusion:
        found["clean_per_class"] = f"with detector = {detector}"
    if rule is not None:
        found |= dict.fromkeys(_OF_AUROR, f"with rule = {rule}")
        told = {"colluders": rule.kind.told, "clean_per_class": rule.kind.rooted}
        found |= {name: f"with rule = {rule}" for name, asked in told.items() if not asked}
        found = {name: why for name, why in found.items() if not told.get(name)}
    if not defended:
        found |= dict.fromkeys((*_OF_AUROR, *_OF_DEFENCE), "without the defended run")
    if attack is not None and attack.reads_basis and attacked and detector.kind.plan.confusion:
        found = {name: why for name, why in found.items() if name not in _of_basis(options)}
    if options.data is not None:
        found |= dict.fromkeys(("dataset", "data_dir"), "with own data")
    else:
        found |= dict.fromkeys(("label_column", "data_range"), "without own data")
    named = options.dataset or DATASET
    if options.data is None and named in PACKAGED:
        found["data_dir"] = f"with dataset = {named}, which comes with a package"
    if attack is not None and attack.aim is None:  # an aim says what the evaluation reports on
        if not _malicious(options, attack):
            found["attack"] = "with malicious = 0"
        elif not attacked:
            found["attack"] = "without an attacked run"
    if not attacked and "oracle" not in runs:
        found["malicious"] = "without an attacked run"
    yield from ((name, reason) for name, reason in found.items() if name in given)


_OF_AUROR = (
    "group_size", "quantisation_bits", "quantisation_range", "audit_probability", "aggregation",
    "watch_rate", "after_flag", "detector", "error_rate", "flag_small_cohorts", "alpha", "tau",
    "dropout_before", "dropout_after",
)  # fmt: skip
_OF_DEFENCE = ("rule", "colluders", "clean_per_class")


def _of_basis(options: Options) -> tuple[str, ...]:
    """Dials that decide how statistics read updates, for attackers who hide from that also where
    no statistics are opened."""
    bits = RoundParams(group_size=options.group_size, quantisation_bits=options.quantisation_bits)
    usual = bits.label_row_bits() == RoundParams().label_row_bits()
    return ("clean_per_class",) if usual else ("clean_per_class", *_OF_PRECISION)


_OF_PRECISION = ("group_size", "quantisation_bits")


def thirty_percent(clients: int) -> int:
    """Who colludes and who attacks, if no dial says otherwise."""
    return clients * 3 // 10


def _malicious(options: Options, attack: Attack | None) -> int:
    if options.malicious is not None:
        return options.malicious
    return 0 if attack is None else max(1, thirty_percent(options.clients))


def config_of(options: Options) -> ExperimentConfig:
    """Raises ConfigError when the dials cannot work together."""
    # loads torch, which a help text does not need
    from auror.experiments.config import Dropout, ExperimentConfig  # noqa: PLC0415
    from auror.learn.attacks import choose_attack  # noqa: PLC0415
    from auror.learn.partition import parse_partition  # noqa: PLC0415
    from auror.learn.tasks import choose_task  # noqa: PLC0415
    from auror.sim.simulate import Aggregation  # noqa: PLC0415
    from auror.training.config import AfterFlag  # noqa: PLC0415
    from auror.training.detectors import choose_detector  # noqa: PLC0415

    training = {
        name: getattr(options, name)
        for name in ("epochs", "batch_size", "learning_rate")
        if getattr(options, name) is not None
    }
    colluders, attack = options.colluders, choose_attack(options.attack)
    task = choose_task(options.task)
    return ExperimentConfig(
        dataset=_dataset(options),
        data_dir=None if options.data_dir is None else Path(options.data_dir),
        data=None if options.data is None else Path(options.data),
        label_column=options.label_column,
        data_range=options.data_range,
        clients=options.clients,
        malicious=_malicious(options, attack),
        attack=attack,
        partition=parse_partition(options.partition),
        clean_per_class=options.clean_per_class,
        task=task,
        training=replace(_usual_training(task), **training),
        rounds=options.rounds,
        seed=options.seed,
        round_params=RoundParams(
            group_size=options.group_size,
            colluders=thirty_percent(options.clients) if colluders is None else colluders,
            quantisation_bits=options.quantisation_bits,
            quantisation_range=options.quantisation_range,
            audit_probability=options.audit_probability,
            watch_rate=options.watch_rate,
        ),
        rule=choose_rule(options.rule),
        detector=choose_detector(options.detector),
        error_rate=options.error_rate,
        flag_small_cohorts=options.flag_small_cohorts,
        alpha=options.alpha,
        tau=options.tau,
        aggregation=Aggregation(options.aggregation),
        after_flag=AfterFlag(options.after_flag),
        runs=_runs(options.runs),
        dropout=Dropout(options.dropout_before, options.dropout_after),
        device=options.device,
    )


def _dataset(options: Options) -> str:
    """A task of one's own may load its samples: then a data set must not have been asked for."""
    from auror.learn.tasks import choose_task  # noqa: PLC0415 - loads torch

    if options.data is not None:
        return OWN
    return options.dataset or ("" if choose_task(options.task).own else DATASET)


def _usual_training(task: ChosenTask) -> TrainingParams:
    """How clients train if no dial says otherwise: one's own task knows."""
    from auror.learn.training import TrainingParams  # noqa: PLC0415

    return task.find().training if task.own else TrainingParams()


def _runs(text: str) -> tuple[RunName, ...]:
    from auror.experiments.config import RunName  # noqa: PLC0415

    names = [word.strip() for word in text.split(",")]
    unknown = sorted(set(names) - {*RunName, "all"})
    if unknown:
        raise ConfigError(f"runs = {text}: choose of {', '.join(RunName)}, or all")
    return tuple(RunName) if names == ["all"] else tuple(run for run in RunName if run in names)
