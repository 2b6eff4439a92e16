"""Which samples a program uses: a data set by name, or a path to somebody's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from auror.deployment.settings import Section
from auror.errors import ConfigError

OWN = "own"
"""The data set's name where a path is meant."""

Data = TypeVar("Data", bound=Section)


def choose_data(
    data: Data, section: str, path: str, without_own: Sequence[str], only_own: Sequence[str]
) -> Data:
    """``data`` with its field ``dataset`` decided: a named path is meant, and nothing is ignored.

    Args:
        data: a section with a field ``dataset``.
        section: its name, for messages.
        path: its field that names somebody's own samples.
        without_own: fields that have no effect on these.
        only_own: fields that have an effect on nothing else.

    Raises:
        ConfigError: two settings contradict each other, or one has no effect.
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
    refuse_idle(data, section, without_own if dataset == OWN else only_own, str(dataset))
    return data


def refuse_idle(data: Section, section: str, fields: Sequence[str], dataset: str) -> None:
    """Raises ConfigError where one of ``fields``, which have no effect, is set."""
    for name in fields:
        value = getattr(data, name)
        # a printed configuration lists all settings: only another value is somebody's wish
        if value != type(data).model_fields[name].default:
            raise ConfigError(
                f"{section}.{name} = {value} has no effect with {section}.dataset ="
                f' "{dataset}": leave it out'
            )
