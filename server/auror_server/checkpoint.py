"""A campaign's state on disk: one safetensors file, replaced as a whole after every round."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from auror.defense.ledger import Ledger
from auror.defense.liability import Liability
from auror.errors import ConfigError
from auror.files import replace_file
from auror.ids import ClientId, Digest
from auror.training.campaign import Campaign, CampaignState
from auror.training.suspects import Suspects

FILE = "checkpoint.safetensors"


def save(folder: Path, campaign: Campaign, config: str, finished: bool) -> None:
    """``config``: hash of the settings that a resumed run must share."""
    state = campaign.state
    tensors = {"model": state.model}
    if state.previous is not None:
        tensors["previous"] = state.previous
    facts = {
        "config": config,
        "finished": finished,
        "index": state.index,
        "era": state.era,
        "era_round": state.era_round,
        "parent": state.parent.hex(),
        "step": state.step,
        "attempts": state.attempts,
        "spent": state.spent,
        "disputed": state.disputed,
        "counter": state.counter,
        "flagged": {str(client): index for client, index in state.flagged.items()},
        "excluded": {str(client): index for client, index in state.excluded.items()},
        "silences": {str(client): count for client, count in state.silences.items()},
        "withheld": {str(client): count for client, count in state.withheld.items()},
        "pairs": [sorted(int(client) for client in pair) for pair in state.pairs],
        "liability": state.liability.to_dict(),
        "cautious": state.cautious,
        "suspects": state.suspects.to_dict(),
        "ledger": campaign.ledger.to_dict(),
    }
    content = safetensors.numpy.save(tensors, {"campaign": json.dumps(facts)})
    replace_file(folder / FILE, content)


def load(folder: Path, config: str) -> tuple[CampaignState, Ledger] | None:
    """State and evidence of an unfinished run in ``folder``; None when there is none.

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
        state = CampaignState(
            np.asarray(tensors["model"], dtype=np.float32),
            tensors.get("previous"),
            parent=Digest(bytes.fromhex(facts["parent"])),
            index=facts["index"],
            era=facts["era"],
            era_round=facts["era_round"],
            step=facts["step"],
            attempts=facts["attempts"],
            spent=bool(facts["spent"]),
            disputed=facts["disputed"],
            counter=facts["counter"],
            flagged={ClientId(int(client)): index for client, index in facts["flagged"].items()},
            excluded={ClientId(int(client)): index for client, index in facts["excluded"].items()},
            silences={ClientId(int(client)): count for client, count in facts["silences"].items()},
            withheld={ClientId(int(client)): count for client, count in facts["withheld"].items()},
            pairs=[frozenset(ClientId(int(c)) for c in pair) for pair in facts["pairs"]],
            liability=Liability.from_dict(facts["liability"]),
            cautious=bool(facts["cautious"]),
            suspects=Suspects.from_dict(facts["suspects"]),
        )
        ledger = Ledger.from_dict(facts["ledger"])
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}): choose another server.run_dir"
        ) from error
    if facts["finished"]:
        raise ConfigError(f"{folder} holds a finished run: choose another server.run_dir")
    if facts["config"] != config:
        raise ConfigError(
            f"{folder} holds an unfinished run with other settings: use those of"
            f" {folder / 'config.toml'}, or choose another server.run_dir"
        )
    return state, ledger
