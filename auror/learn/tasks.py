"""Tasks by what they are named: those that come along, and ``package.module:name`` of one's own.

A name that comes along takes settings: ``resnet18:width=8``. It gets shape, classes and
standardisation from the data; a task of one's own brings them.
"""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, cast

from auror.errors import ConfigError
from auror.learn.architectures import ARCHITECTURES, Labelled, settings_of
from auror.learn.samples import SampleSpec
from auror.learn.task import Task
from auror.registry import (
    described,
    in_own_code,
    is_lasting,
    is_reference,
    load_reference,
    makes,
    module_of,
    outside_name,
    reference_to,
)

TASKS: tuple[str, ...] = tuple(ARCHITECTURES)
_USAGE = f"choose of {', '.join(TASKS)} (resnet18:width=8), or name package.module:name"


@dataclass(frozen=True, slots=True)
class ChosenTask:
    """A task under the name that was given for it."""

    name: str
    given: Task | None = field(default=None, compare=False, repr=False)
    """Where the task itself was given, and not its name."""

    def __str__(self) -> str:
        return self.name

    @property
    def own(self) -> bool:
        """Whether it is somebody's own code."""
        return self.given is not None or is_own(self.name)

    def find(self, samples: SampleSpec | None = None) -> Task:
        """The task; ``samples``: what the data are, for those that come along.

        Raises:
            ConfigError: as :func:`find_task`.
        """
        return self.given or find_task(self.name, samples)


def choose_task(given: object) -> ChosenTask:
    """What ``given`` names or is.

    Args:
        given: a name with its settings, ``package.module:name``, a task, or a class of such that
            needs no arguments.

    Raises:
        ConfigError: an unknown name or setting, or an object that is no task or cannot be used.
    """
    if isinstance(given, ChosenTask):
        return given
    if isinstance(given, str):
        is_own(given)  # raises for what is no task at all
        return ChosenTask(given)
    name = reference_to(given)
    return ChosenTask(name, _usable(name, given))


def find_task(name: str, samples: SampleSpec | None = None) -> Task:
    """The task that ``name`` stands for. Imports code where ``name`` is a reference: whoever runs
    the program must have written it.

    ``samples``: what the data are; a task of one's own does not need it.

    Raises:
        ConfigError: an unknown name or setting, code that cannot be imported or is no task, or a
            module that cannot be used.
    """
    if is_reference(name):
        return _own(name)
    word, settings = _parse(name)
    return make(word, settings, samples or SampleSpec((), None))


def is_own(name: str) -> bool:
    """Whether ``name`` is one's own code; raises ConfigError when it is no task at all."""
    if is_reference(name):
        return True
    _parse(name)
    return False


def make(word: str, settings: dict[str, Any], samples: SampleSpec) -> Labelled:
    """One that comes along, by name and settings.

    Raises:
        ConfigError: as ``find_task``.
    """
    kind = ARCHITECTURES[word]
    if samples.classes is None:
        raise ConfigError(
            f"task {word} needs labelled samples: without labels, name a task of your own"
            " (package.module:name)"
        )
    try:
        return kind(
            samples.input_shape,
            samples.classes,
            samples.standardisation,
            samples.names,
            samples.features,
            **settings,
        )
    except TypeError as error:
        raise ConfigError(f"task {word}: {error}") from error


def source_digest(task: Task) -> str | None:
    """SHA-256 of the files that define one's own task, hexadecimal: the module that was named and
    the one that its class is from. None for tasks that come along, or that nobody else can name.

    Raises:
        ConfigError: a module without source.
    """
    if not is_lasting(task.reference):
        return None
    named, home = task.reference.partition(":")[0], outside_name(type(task).__module__)
    hashed = hashlib.sha256()
    for module in dict.fromkeys((named, home)):
        if module.partition(".")[0] == "auror":
            continue
        try:
            text = inspect.getsource(cast("ModuleType", module_of(module)))
        except (OSError, TypeError) as error:
            raise ConfigError(
                f"{task}: {module} has no source file to hash ({error}): write the task into a file"
                " and import it"
            ) from error
        hashed.update(f"{module}\n{len(text)}\n{text}".encode())
    return hashed.hexdigest()


def _own(name: str) -> Task:
    return _usable(name, load_reference("task", name))


def _usable(name: str, given: object) -> Task:
    found = given
    if isinstance(found, type) and issubclass(found, Task):
        if needed := sorted(found.__abstractmethods__):
            raise ConfigError(f"task {name!r}: write its {needed[0]}(self), see auror.Task")
        if not makes(found):
            raise ConfigError(
                f"task {name!r} is {described(found)}: give an object that was made from it"
            )
        with in_own_code(f"task {name!r}"):
            found = found()
    if not isinstance(found, Task):
        raise ConfigError(
            f"task {name!r} is {described(found)}: give an object or a subclass of auror.Task"
        )
    vars(found)["_reference"] = name
    found.layout  # noqa: B018 - whatever cannot be used is said now
    return found


def _parse(name: str) -> tuple[str, dict[str, Any]]:
    word, _colon, rest = name.partition(":")
    if word not in ARCHITECTURES:
        raise ConfigError(f"task {name!r} is not known: {_USAGE}")
    settings: dict[str, Any] = {}
    known = settings_of(ARCHITECTURES[word])
    for pair in filter(None, rest.split(",")):
        key, _equals, value = pair.partition("=")
        if key not in known or not value.isdigit():
            raise ConfigError(
                f"task {name!r}: write {word}:{known[0]}=NUMBER, of {', '.join(known)}"
            )
        settings[key] = int(value)
    return word, settings
