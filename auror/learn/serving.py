"""From a server's learning settings and the signed task to the model's host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from auror.errors import ConfigError
from auror.learn.attacks import parse_attack
from auror.learn.device import resolve_device
from auror.learn.host import TorchHost
from auror.learn.own_data import DataSource
from auror.learn.pinned import PinnedTask
from auror.learn.task_data import own_test, server_side


@dataclass(frozen=True, kw_only=True)
class Learning:
    """The section ``[learning]`` of a server's configuration, which says what each field means."""

    task: str
    dataset: str
    data_dir: str
    data: str
    label_column: str
    range: str
    clean_per_class: int
    device: str
    seed: int
    report_attack: str


def host_of(
    settings: Learning, task: bytes, named: str = "learning.data", client: int | None = None
) -> tuple[TorchHost, list[str]]:
    """The host of the signed ``task``, and what somebody should know about its samples.

    Args:
        named: what named the samples, as errors call it.
        client: whose samples are the test's, where the task has a loader of its own for them.

    Raises:
        UserError: the data set or device cannot be used, or does not fit; metrics that fail.
    """
    pinned = PinnedTask.from_bytes(task, settings.task, "learning.task")
    source = DataSource(
        settings.dataset,
        Path(settings.data_dir) if settings.data_dir else None,
        Path(settings.data) if settings.data else None,
        settings.label_column,
        settings.range,
        setting=named,
    )
    given = None if client is None else own_test(pinned.task, source.path, client)
    data = given or server_side(pinned.task, source, settings.seed, settings.clean_per_class)
    attack = parse_attack(settings.report_attack or "none", pinned.task.classes)
    if attack is not None and pinned.task.classes is None:
        raise ConfigError(
            f"learning.report_attack = {attack}: {pinned.task} has no labels; leave it out"
        )
    device = resolve_device(settings.device)
    host = TorchHost(pinned, data, device, settings.seed, attack)
    host.try_metrics()
    return host, list(data.notes)
