"""From a server's learning settings and the signed task to the model's host."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from auror.errors import ConfigError
from auror.learn.attacks import parse_attack
from auror.learn.device import resolve_device
from auror.learn.host import TorchHost
from auror.learn.own_data import DataSource
from auror.learn.pinned import PinnedTask
from auror.learn.task_data import fitting_clean, own_test, server_side
from auror.learn.training import Floats, Labels


@dataclass(frozen=True, kw_only=True)
class Learning:
    """The section ``[learning]`` of a server's configuration, which says what each field means."""

    task: str
    dataset: str
    data_dir: str
    data: str
    label_column: str
    range: str
    device: str
    seed: int
    report_attack: str


def host_of(
    settings: Learning,
    task: bytes,
    named: str = "learning.data",
    client: int | None = None,
    clean: tuple[Floats, Labels] | None = None,
) -> tuple[TorchHost, list[str]]:
    """The host of the signed ``task``, and what somebody should know about its samples.

    Args:
        named: what named the samples, as errors call it.
        client: whose samples are the test's, where the task has a loader of its own for them.
        clean: what the policy signs for label rows to read along, (N, *input_shape) and (N,).

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
    data = given or server_side(pinned.task, source, settings.seed, 0)
    if clean is not None:
        x, y = fitting_clean(pinned.task, *clean)
        data = replace(data, clean_x=x, clean_y=y)
    attack = parse_attack(settings.report_attack or "none", pinned.task.classes)
    if attack is not None and pinned.task.classes is None:
        raise ConfigError(
            f"learning.report_attack = {attack}: {pinned.task} has no labels; leave it out"
        )
    device = resolve_device(settings.device)
    host = TorchHost(pinned, data, device, settings.seed, attack)
    host.try_metrics()
    return host, list(data.notes)
