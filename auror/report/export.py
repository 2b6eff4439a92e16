"""``auror export``: a run's model as a file for other programs, with its card beside it."""

from __future__ import annotations

import enum
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from auror.deployment.model_file import named_tensors
from auror.errors import ConfigError, DataError
from auror.experiments.files import write_bytes, write_text
from auror.experiments.finished import FinishedRun
from auror.report.card import card_json, card_markdown


class Format(enum.StrEnum):
    """Of an exported model."""

    SAFETENSORS = "safetensors"
    TORCH = "torch"

    @property
    def suffix(self) -> str:
        return ".pt" if self is Format.TORCH else ".safetensors"


_LOADING = {
    Format.SAFETENSORS: (
        "from safetensors.torch import load_file\n"
        "model = ...  # the module of the task\n"
        'model.load_state_dict(load_file("{name}"))'
    ),
    Format.TORCH: (
        "import torch\n"
        "model = ...  # the module of the task\n"
        'model.load_state_dict(torch.load("{name}", weights_only=True))'
    ),
}


@dataclass(frozen=True)
class Exported:
    """The three files."""

    model: Path
    card: Path
    """JSON."""
    page: Path
    """Markdown."""


def export(run: FinishedRun, form: Format, out: Path | None, force: bool = False) -> Exported:
    """Write the model to ``out``, by default ``exported.*`` in the run folder, and its card beside
    it.

    Raises:
        ConfigError: a file is there and ``force`` is not set.
        DataError: the run trained no model, or the files cannot be written.
    """
    path = out or run.folder / f"exported{form.suffix}"
    made = Exported(path, path.with_suffix(".card.json"), path.with_suffix(".card.md"))
    if not force:
        there = next((p for p in (made.model, made.card, made.page) if p.exists()), None)
        if there is not None:
            raise ConfigError(
                f"{there} is there already: choose another with out = FILE, or overwrite it with"
                " force = true"
            )
    card = card_json(run)
    try:
        tensors = named_tensors(run.task, run.need_model())
    except ValueError as error:
        raise DataError(f"{run.folder}: the model is not one of its task: {error}") from error
    content = _torch(tensors) if form is Format.TORCH else safetensors.numpy.save(tensors)
    try:
        # the card first: a model without one would look as if nothing were known about it
        write_text(made.card, json.dumps(card, indent=2, allow_nan=False) + "\n")
        write_text(made.page, card_markdown(card, _LOADING[form].format(name=path.name)))
        write_bytes(made.model, content)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from error
    return made


def _torch(tensors: dict[str, NDArray[np.float32]]) -> bytes:
    import torch  # noqa: PLC0415 - seconds, and safetensors needs none of it

    buffer = io.BytesIO()
    torch.save({name: torch.from_numpy(tensor) for name, tensor in tensors.items()}, buffer)
    return buffer.getvalue()
