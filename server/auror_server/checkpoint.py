"""A campaign's state on disk: one safetensors file, replaced as a whole after every round."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors.numpy
from safetensors import SafetensorError, safe_open

from auror.errors import ConfigError
from auror.files import replace_file
from auror.training.campaign import Campaign
from auror.training.state import CampaignState

FILE = "checkpoint.safetensors"


def save(folder: Path, campaign: Campaign, config: str, finished: bool) -> None:
    """``config``: hash of the settings that a resumed run must share."""
    state = campaign.state
    facts = {"config": config, "finished": finished, "state": state.to_dict()}
    content = safetensors.numpy.save(state.tensors(), {"campaign": json.dumps(facts)})
    replace_file(folder / FILE, content)


def load(folder: Path, config: str, extend: bool = False) -> CampaignState | None:
    """The state of an unfinished run in ``folder``; None when there is none.

    ``extend``: a finished one is wanted too.

    Raises:
        ConfigError: the run is finished, was made with other settings, or cannot be read.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with safe_open(str(path), framework="numpy") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["campaign"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state = CampaignState.from_dict(facts["state"], tensors)
        finished, settings = bool(facts["finished"]), str(facts["config"])
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}): choose another server.run_dir"
        ) from error
    if finished and not extend:
        raise ConfigError(
            f"{folder} holds a finished run: choose another server.run_dir, or extend it with"
            " `--rounds +N`"
        )
    if settings != config:
        raise ConfigError(
            f"{folder} holds an unfinished run with other settings: use those of"
            f" {folder / 'config.toml'}, or choose another server.run_dir"
        )
    return state
