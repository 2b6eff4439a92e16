"""Which samples a program uses: a data set by name, or a path to somebody's own."""

from __future__ import annotations

from typing import Any, TypeVar

from auror.deployment.settings import Section
from auror.errors import ConfigError
from auror.params import DATASET

OWN = "own"
"""The data set's name where a path is meant."""

Data = TypeVar("Data", bound=Section)


def choose_data(data: Data, section: str, path: str) -> Data:
    """``data`` with its field ``dataset`` decided: a named path is meant, then the data set that is
    asked for, then what a task of one's own loads (""), and the usual one otherwise.

    Args:
        data: a section with fields ``dataset`` and ``task``.
        section: its name, for messages.
        path: its field that names somebody's own samples.

    Raises:
        ConfigError: two settings contradict each other.
    """
    told: Any = data
    named, dataset = getattr(data, path), told.dataset
    if not dataset:
        dataset = OWN if named else "" if told.task else DATASET
        data = data.model_copy(update={"dataset": dataset})
    if named and dataset != OWN:
        raise ConfigError(
            f'{section}.{path} = "{named}" and {section}.dataset = "{dataset}" contradict each'
            f' other: leave one of them out, or set {section}.dataset = "{OWN}"'
        )
    if dataset == OWN and not named:
        raise ConfigError(
            f'{section}.dataset = "{OWN}": name the file or folder in {section}.{path}'
        )
    return data
