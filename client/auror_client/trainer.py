"""Local training behind a port: torch on this client's samples, or numbers for load tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from auror.deployment.addresses import parse_ids
from auror.deployment.data_choice import OWN
from auror.deployment.logs import logger
from auror.deployment.synthetic_task import SyntheticTask
from auror.deployment.without_effect import WithoutEffect, refuse_idle
from auror.errors import ConfigError
from auror.ids import ClientId
from auror.round.label_rows import ClassMeans
from auror_client.config import CLIENT, SYNTHETIC, ClientConfig, DataSection, of_client
from auror_client.reference import Reference

if TYPE_CHECKING:
    from auror.deployment.clean_samples import CleanSamples
    from auror.learn.pinned import PinnedTask
    from auror.learn.samples import Targets
    from auror.learn.task import Task

_log = logger("client")


class Trainer(Protocol):
    """From the global model to this client's update; called in a thread of its own."""

    @property
    def samples(self) -> int:
        """How many this client trains on."""

    def train(self, task: bytes, model: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
        """The update, new minus old, float32 (d,).

        Raises:
            UserError: the task or the samples cannot be used.
        """

    def class_means(self, task: bytes, model: NDArray[np.float32]) -> ClassMeans | None:
        """What the signed clean samples look like under ``model``; None for a task without an
        output layer.

        Raises:
            UserError: the task or the samples cannot be used.
        """


class SyntheticTrainer:
    """Updates drawn from the seed alone, multiples of 1/64 in [-1/2, 1/2]: load tests."""

    samples = 0

    def train(self, task: bytes, model: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
        values = np.random.default_rng(seed).integers(-32, 33, size=_synthetic_task(task).synthetic)
        return (values / 64).astype(np.float32)

    def class_means(self, task: bytes, model: NDArray[np.float32]) -> ClassMeans | None:
        return None


class LayerTrainer:
    """A softmax layer on synthetic samples, really trained; the rest as ``SyntheticTrainer``."""

    def __init__(self, task: SyntheticTask, x: NDArray[np.float32], y: NDArray[np.int64]) -> None:
        self._task, self._x, self._y = task, x, y

    @property
    def samples(self) -> int:
        return len(self._y)

    def train(self, task: bytes, model: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
        update = SyntheticTrainer().train(task, model, seed)
        change = self._task.trained(model, self._x, self._y, _STEPS, _RATE)
        update[: len(change)] = change
        return update

    def class_means(self, task: bytes, model: NDArray[np.float32]) -> ClassMeans | None:
        output = self._task.output
        return None if output is None else ClassMeans(output, self._task.clean_means())


_SAMPLES, _STEPS, _RATE = 100, 5, 0.5


def _synthetic(
    data: DataSection, clients: Sequence[ClientId], task: bytes
) -> Mapping[ClientId, Trainer]:
    wanted = _synthetic_task(task)
    if not wanted.classes:
        if data.attack != "none":
            raise ConfigError(
                f"data.attack = {data.attack} has no effect on a task without classes"
            )
        return {client: SyntheticTrainer() for client in clients}
    poisoned = _Poisoner(data, clients, wanted.classes)
    trainers: dict[ClientId, Trainer] = {}
    for client in clients:
        x, y = poisoned(client, *wanted.samples(client, _SAMPLES))
        trainers[client] = LayerTrainer(wanted, x, y.astype(np.int64))
    return trainers


def _synthetic_task(task: bytes) -> SyntheticTask:
    """A load test's; raises ConfigError when ``task`` trains a real one."""
    found = SyntheticTask.of(task)
    if found is None:
        raise ConfigError(
            'the policy is to train a real model: data.dataset = "synthetic" is for load tests'
        )
    return found


class TorchTrainer:
    """Trains as the task in the signed policy says."""

    def __init__(
        self,
        x: NDArray[np.float32],
        y: Targets,
        device: str,
        own: str = "",
        reference: Reference | None = None,
    ) -> None:
        """``own``: the task that this client's configuration names; no other code is imported.
        ``reference``: what the clients of a process share; by default no samples are signed."""
        self._x, self._y, self._device, self._own = x, y, device, own
        self._reference = reference or Reference(None)

    @property
    def samples(self) -> int:
        return len(self._y)

    def train(self, task: bytes, model: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
        # imported here: load tests must not pay seconds and memory for torch
        from auror.learn.device import resolve_device  # noqa: PLC0415
        from auror.learn.training import train_client  # noqa: PLC0415

        wanted = self._pinned(task)
        return train_client(
            wanted.task,
            model,
            self._x,
            self._y,
            params=wanted.training,
            seed=seed,
            device=resolve_device(self._device),
        )

    def class_means(self, task: bytes, model: NDArray[np.float32]) -> ClassMeans | None:
        from auror.learn.device import resolve_device  # noqa: PLC0415

        wanted = self._pinned(task).task
        return self._reference.means(wanted, model, resolve_device(self._device))

    def _pinned(self, task: bytes) -> PinnedTask:
        from auror.learn.pinned import PinnedTask  # noqa: PLC0415

        return PinnedTask.from_bytes(task, self._own, "data.task")


def make_trainers(
    config: ClientConfig,
    clients: Sequence[ClientId],
    enrolled: int,
    task: bytes,
    clean: CleanSamples | None,
) -> Mapping[ClientId, Trainer]:
    """One trainer per client; ``enrolled``: how many were at first. ``task``: the policy's, and
    ``clean`` the samples that it signs.

    Raises:
        UserError: unknown data set, unreadable file, a part that does not exist; samples that do
            not fit the task.
    """
    data = config.data
    if data.dataset == SYNTHETIC:
        return _synthetic(data, clients, task)
    if SyntheticTask.of(task) is not None:
        raise ConfigError(
            f'data.dataset = "{data.dataset}", but the policy is of a load test: choose "synthetic"'
        )
    import torch  # noqa: PLC0415

    from auror.learn.pinned import PinnedTask  # noqa: PLC0415
    from auror.learn.task_data import fitting_clean  # noqa: PLC0415

    torch.set_num_threads(1)  # the clients of a process share its cores
    wanted = PinnedTask.from_bytes(task, data.task, "data.task").task
    if clean is not None:
        fitting_clean(wanted, clean.x, clean.y)
    poisoned = _Poisoner(data, clients, wanted.classes or 0)
    loaded = _from_loader(config, clients, wanted)
    if loaded is None and data.dataset == OWN:
        loaded = _from_own(data, clients, wanted)
    elif loaded is None:
        loaded = _from_shared(data, clients, enrolled, wanted)
    device, reference = config.client.device, Reference(clean)
    return {
        client: TorchTrainer(*poisoned(client, *samples), device, data.task, reference)
        for client, samples in loaded.items()
    }


Samples = dict[ClientId, "tuple[NDArray[np.float32], Targets]"]


def _from_loader(config: ClientConfig, clients: Sequence[ClientId], wanted: Task) -> Samples | None:
    """As the task's own loader gives them; None where it has none."""
    from auror.learn.task_data import client_side  # noqa: PLC0415

    data, loaded = config.data, Samples()
    for client in clients:
        path = of_client(data.path, client)
        found = client_side(wanted, Path(path) if path else None, client)
        if found is None:
            return None
        loaded[client] = found
    kept = () if data.dataset == OWN else ("data.dataset",)
    unread: WithoutEffect[ClientConfig] = WithoutEffect(
        (*kept, *_UNREAD), lambda _config: True, f"as {wanted} loads its own samples"
    )
    refuse_idle(config, (unread,))
    return loaded


_UNREAD = (
    "data.data_dir", "data.partition", "data.parts", "data.part", "data.label_column", "data.range",
)  # fmt: skip
"""What a task with loaders does not look at."""


def _from_own(data: DataSection, clients: Sequence[ClientId], wanted: Task) -> Samples:
    from auror.learn.samples import read_samples  # noqa: PLC0415
    from auror.learn.scale import parse_range  # noqa: PLC0415

    if len(clients) > 1 and CLIENT not in data.path:
        raise ConfigError(
            f"data.path = {data.path}: {len(clients)} clients would train on the same samples; put"
            f" {CLIENT} where their paths differ"
        )
    spec = wanted.samples
    stated, loaded = parse_range("data.range", data.range), Samples()
    for client in clients:
        path = Path(of_client(data.path, client))
        samples = read_samples(path, spec, label_column=data.label_column, setting="data.path")
        x, notes, warnings = spec.inputs(samples, stated)
        log = _log.bind(client=int(client))
        log.info("own samples", path=str(path), samples=len(x), shape=list(x.shape[1:]))
        for line in notes:
            log.info(line)
        for line in warnings:
            log.warning(line)
        loaded[client] = x, samples.y
    return loaded


def _from_shared(
    data: DataSection, clients: Sequence[ClientId], enrolled: int, wanted: Task
) -> Samples:
    from auror.learn.own_data import DataSource, load_data  # noqa: PLC0415
    from auror.learn.partition import parse_partition  # noqa: PLC0415

    source = DataSource(data.dataset, Path(data.data_dir) if data.data_dir else None)
    whole = load_data(source, data.seed, 0, wanted.samples)
    parts = parse_partition(data.partition).split(
        whole.train_y, data.parts or enrolled, data.seed, whole.train_tracks
    )
    loaded = Samples()
    for client in clients:
        part = data.part if data.part >= 0 else client
        if part >= len(parts):
            raise ConfigError(
                f"data.part = {part}: the data set is dealt into {len(parts)} parts, choose"
                f" 0 … {len(parts) - 1}"
            )
        loaded[client] = whole.train_x[parts[part]], whole.train_y[parts[part]]
    return loaded


class _Poisoner:
    """Plays the attackers among ``clients``: of one client that one, of many those named.

    Raises:
        ConfigError: an attack that a client cannot play, or not on these data.
    """

    def __init__(self, data: DataSection, clients: Sequence[ClientId], classes: int) -> None:
        from auror.learn.attacks import parse_attack  # noqa: PLC0415

        attack = parse_attack(data.attack, classes)
        if attack is not None and attack.forges:
            raise ConfigError(
                f"data.attack = {attack}: forging needs what other clients send, so auror simulate"
                " alone can do it; name a flip or a backdoor"
            )
        named = parse_ids("data.malicious", data.malicious)
        self._attackers = set(clients if not named and len(clients) == 1 else named)
        if attack is not None and self._attackers.isdisjoint(clients):
            raise ConfigError(
                f"data.attack = {attack} has no effect: data.malicious names none of the"
                f" {len(clients)} clients of this process"
            )
        self._attack, self._seed, self._classes = attack, data.seed, classes

    def __call__(
        self, client: ClientId, x: NDArray[np.float32], y: Targets
    ) -> tuple[NDArray[np.float32], Targets]:
        if self._attack is None or client not in self._attackers:
            return x, y
        from auror.learn.attack import changed_samples, poisoned_samples  # noqa: PLC0415

        rng = np.random.default_rng([self._seed, 1, client])
        labels = y.astype(np.int64)
        samples, poisoned = poisoned_samples(self._attack, x, labels, rng, self._classes)
        _log.warning(
            "poisons its samples, as data.attack says",
            client=int(client),
            attack=str(self._attack),
            changed=changed_samples((x, labels), (samples, poisoned)),
        )
        return samples, poisoned
