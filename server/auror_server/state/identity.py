"""Whose run a folder holds: only the same deployment, members and settings go on with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auror.deployment.run_seals import members, roster
from auror.errors import ConfigError
from auror.round.policy import Policy


@dataclass(frozen=True)
class RunIdentity:
    """``settings``: hash of the configuration that decides the training."""

    policy: Policy
    settings: str

    def row(self) -> dict[str, Any]:
        """As the table ``runs`` has it."""
        return {
            "deployment": self.policy.name,
            "policy_version": self.policy.version,
            "policy_digest": self.policy.digest().hex(),
            "roster": roster(self.policy),
            "settings": self.settings,
        }

    def check(self, folder: Path, row: Any, extend: bool) -> None:
        """``extend``: a finished run is wanted too.

        Raises:
            ConfigError: the run of ``row``, in ``folder``, is not this one's to go on with.
        """
        policy, other = self.policy, f"{folder} holds a run"
        if row.finished and not extend:
            raise ConfigError(
                f"{folder} holds a finished run: choose another server.run_dir, or extend it with"
                " `--rounds +N`"
            )
        if row.deployment != policy.name:
            raise ConfigError(
                f"{other} of deployment {row.deployment}, these credentials are of {policy.name}:"
                " choose another server.run_dir"
            )
        if policy.version < row.policy_version:
            raise ConfigError(
                f"{other} under version {row.policy_version} of the policy, policy.json is version"
                f" {policy.version}: copy the newest policy.json from the operator"
            )
        known: dict[str, str] = json.loads(row.roster)
        foreign = [c for c, keys in members(policy).items() if known.get(c, keys) != keys]
        if foreign:
            raise ConfigError(
                f"{other} of other members: the policy's client {foreign[0]} is not the one that"
                " was enrolled when it began; choose another server.run_dir"
            )
        if not policy.follows(row.policy_version, row.policy_digest):
            raise ConfigError(
                f"{other} under another version {row.policy_version} of the policy: two policies of"
                " one version were signed; ask the operator which one counts"
            )
        if row.settings != self.settings:
            raise ConfigError(
                f"{other} with other settings: use those of {folder / 'config.toml'}, or choose"
                " another server.run_dir"
            )
