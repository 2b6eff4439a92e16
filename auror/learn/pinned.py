"""The task that an operator signs as part of the policy: canonical JSON.

The text states everything that decides an update but the samples and a client's own randomness.
What follows from the module stands in it too, so that another implementation, or a version that
lays tensors out in another order, sees that it would compute something else.
"""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, dataclass
from typing import Any

from auror.errors import ConfigError
from auror.learn.architectures import Labelled
from auror.learn.models import Layout
from auror.learn.samples import SampleSpec
from auror.learn.standardisation import Standardisation
from auror.learn.task import Task
from auror.learn.tasks import TASKS, find_task, make, source_digest
from auror.learn.training import TrainingParams

_FIXED = {
    "batches": "per epoch one permutation, cut into ceil(samples / batch_size) nearly equal parts",
    "optimiser": "sgd as in torch.optim.SGD, without dampening",
    "seed": "64 random bits of the client's own in every attempt",
}


@dataclass(frozen=True)
class PinnedTask:
    """A task, and how everybody trains it."""

    task: Task
    training: TrainingParams

    def to_bytes(self) -> bytes:
        """Canonical: sorted keys, no blanks, so equal tasks have equal hashes.

        Raises:
            ConfigError: the task cannot be used.
        """
        task, layout = self.task, self.task.layout
        stated: dict[str, Any] = {
            **_FIXED,
            "loss": _loss(task),
            "model": {
                "kind": task.word if isinstance(task, Labelled) else task.reference,
                "input_shape": task.input_shape,
                "classes": task.classes,
                **(
                    task.settings if isinstance(task, Labelled) else {"source": source_digest(task)}
                ),
            },
            "output": _output(layout),
            "parameters": [
                {"name": part.name, "shape": part.shape, "dtype": "float32"}
                for part in layout.slices
            ],
            "standardisation": task.standardisation.stated(),
            "training": asdict(self.training),
        }
        for key, names in (("classes", task.class_names), ("features", task.feature_names)):
            if names is not None:
                stated[key] = names
        return json.dumps(stated, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, raw: bytes, own: str = "", setting: str = "task") -> PinnedTask:
        """The task of a policy.

        Args:
            own: the task that the reader's own configuration names, "" for none. No other code is
                imported, whatever ``raw`` says.
            setting: where the configuration names it, as errors call it.

        Raises:
            ConfigError: ``raw`` is not a task that this version computes, or is other code than
                ``own``.
        """
        return _read(raw, own, setting)


@functools.lru_cache(maxsize=8)  # a client asks in every round, and trying the module takes a while
def _read(raw: bytes, own: str, setting: str) -> PinnedTask:
    try:
        stated = json.loads(raw)
        name = str(stated["model"]["kind"])
        training = TrainingParams(**stated["training"])
        task = _agreed(name, stated, own, setting)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{_OTHER} ({error}): {_SAME}") from error
    found = PinnedTask(task, training)
    if found.to_bytes() != raw:
        mine = json.loads(found.to_bytes())
        differs = [key for key in sorted(mine) if stated.get(key) != mine[key]]
        if "model" in differs and name not in TASKS:  # whatever else differs follows from it
            raise ConfigError(
                f"the policy trains {name} with other source code than is found here: get the"
                " operator's file, unchanged"
            )
        raise ConfigError(f"{_OTHER} ({', '.join(differs) or 'its form'}): {_SAME}")
    return found


def _agreed(name: str, stated: dict[str, Any], own: str, setting: str) -> Task:
    """The task called ``name``, if it comes along or is ``own``."""
    if name not in TASKS:
        if own != name:
            raise ConfigError(
                f"the policy trains {name}, which is no part of auror: if you have that code and"
                f' trust it, set {setting} = "{name}"'
            )
        return find_task(own)
    settings = dict(stated["model"])
    del settings["kind"]
    shape = tuple(int(side) for side in settings.pop("input_shape"))
    names, features = (
        None if stated.get(key) is None else tuple(map(str, stated[key]))
        for key in ("classes", "features")
    )
    scale = Standardisation(**stated["standardisation"])
    samples = SampleSpec(shape, settings.pop("classes"), names, features, scale)
    task = make(name, settings, samples)
    if own and find_task(own, samples).reference != task.reference:
        raise ConfigError(
            f'{setting} = "{own}", but the policy trains {task.reference}: leave {setting} out, or'
            " get the right policy"
        )
    return task


def _loss(task: Task) -> str:
    """The standard losses by what they are, others by where they are defined."""
    if type(task).loss is not Task.loss:
        return f"{type(task).loss.__module__}.{type(task).loss.__qualname__}"
    kind = "squared error" if task.classes is None else "cross-entropy"
    return f"mean {kind} over a batch"


def _output(layout: Layout) -> dict[str, Any] | None:
    found = layout.output
    if found is None:
        return None
    stated = {"offset": found.offset, "classes": found.classes, "hidden": found.hidden}
    return stated if found.bias else {**stated, "bias": False}


_OTHER = "the policy's training task is not one that this version computes"
_SAME = "operator, server and clients must run the same version of auror"
