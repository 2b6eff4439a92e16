"""Which samples a program uses: a data set by name, or a path to somebody's own."""

from __future__ import annotations

from typing import Any, TypeVar

from auror.deployment.settings import Section
from auror.errors import ConfigError

OWN = "own"
"""The data set's name where a path is meant."""

Data = TypeVar("Data", bound=Section)


def choose_data(data: Data, section: str, path: str) -> Data:
    """``data`` with its field ``dataset`` decided: a named path is meant.

    Args:
        data: a section with a field ``dataset``.
        section: its name, for messages.
        path: its field that names somebody's own samples.

    Raises:
        ConfigError: two settings contradict each other.
    """
    named = getattr(data, path)
    if named and "dataset" not in data.model_fields_set:
        data = data.model_copy(update={"dataset": OWN})
    dataset: Any = getattr(data, "dataset")  # noqa: B009 - a field of every such section
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
