"""What becomes of the trained model at a client: checked, kept in a folder, or missed."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auror.deployment.credentials import ClientCredentials
from auror.deployment.logs import logger
from auror.deployment.model_file import model_sha256, tensor_entries
from auror.deployment.released import Released, check_folder, keep_released
from auror.errors import ConfigError, ModelMissing, Refused
from auror.ids import ClientId
from auror.round.client.machine import ClientMachine
from auror.round.messages import FinalModel
from auror_client.config import ClientConfig, of_client

SETTING = "client.model"
_log = logger("client")


class ModelFolder:
    """One client's place for the trained model; where it wants none, or the policy keeps it back,
    there is no folder."""

    def __init__(
        self, folder: Path | None, own: ClientCredentials, samples: Mapping[str, Any]
    ) -> None:
        """``samples``: how this client loads its own (``Released.samples``).

        Raises:
            ConfigError: ``folder`` cannot be written, or holds something else; the policy's task
                has no size.
        """
        try:
            self._dim = tensor_entries(own.policy.task)
        except ValueError as error:
            raise ConfigError(
                f"policy.json: {error}: it was signed by another version of auror; enrol anew"
            ) from error
        self.folder = folder
        self._own = own
        self._samples = samples
        self.settled = False
        """A model came, and was kept or refused."""
        self.refused: Refused | None = None
        if folder is not None:
            check_folder(folder, SETTING)

    def fresh(self) -> ModelFolder:
        """The same place, for the model of the next training."""
        other = copy.copy(self)
        other.settled, other.refused = False, None
        return other

    def follow(self, own: ClientCredentials) -> None:
        """A later version of the policy is held."""
        self._own = own

    @property
    def declined(self) -> bool:
        """The policy would give it, this client does not want it."""
        return self.folder is None and self._own.policy.release_model

    @property
    def missing(self) -> bool:
        """The policy promises it, this client wants it, and it has none."""
        return self.folder is not None and (not self.settled or self.refused is not None)

    def take(self, machine: ClientMachine, final: FinalModel) -> None:
        """Check and keep ``final``.

        Raises:
            ConfigError: it cannot be written.
        """
        policy, client = self._own.policy, self._own.client
        self.settled = True
        try:
            machine.check_final(final, self._dim)
        except Refused as refusal:
            self.refused = refusal
            _log.warning("final model refused", client=int(client), why=str(refusal))
            return
        self.refused = None
        if self.folder is None:
            return
        name = model_sha256(final.model)
        released = Released(
            client=client, era=final.era, step=final.step, sha256=name, samples=self._samples
        )
        try:
            keep_released(self.folder, policy, released, final.model)
        except OSError as error:
            raise ConfigError(
                f"{SETTING}: {self.folder} cannot be written ({error.strerror}); mend that and"
                " ask the operator for the model"
            ) from error
        _log.info("final model kept", client=int(client), folder=str(self.folder), sha256=name)


def make_folders(
    config: ClientConfig, members: Sequence[ClientCredentials]
) -> dict[ClientId, ModelFolder]:
    """A folder for every client of this process.

    Raises:
        ConfigError: one cannot be written or holds something else, or two clients share one.
    """
    if not config.client.model:
        return {own.client: ModelFolder(None, own, {}) for own in members}
    if not members[0].policy.release_model:
        _log.info("the policy keeps the final model at the server")
        return {own.client: ModelFolder(None, own, {}) for own in members}
    folders = {own.client: model_folder(config, own) for own in members}
    if len(set(folders.values())) < len(folders):
        raise ConfigError(
            f"{SETTING} = {config.client.model}: {len(folders)} clients would share one folder:"
            " write {client} where the client's number belongs"
        )
    return {
        own.client: ModelFolder(folders[own.client], own, _samples(config, own.client))
        for own in members
    }


def model_folder(config: ClientConfig, own: ClientCredentials) -> Path:
    """``client.model`` with what its placeholders stand for."""
    home = config.client.state / own.policy.name
    named = config.client.model.replace("{state}", str(home))
    return Path(of_client(named, own.client))


def check_released(folders: Sequence[ModelFolder]) -> None:
    """Raises ModelMissing when the session is over and the policy's promise was not kept."""
    missing = [folder for folder in folders if folder.missing]
    if not missing:
        return
    refusal = next((folder.refused for folder in missing if folder.refused is not None), None)
    if refusal is not None:
        raise ModelMissing(
            f"the session finished and the final model was refused ({refusal}): nothing was"
            " kept; ask the operator what the server trained"
        )
    raise ModelMissing(
        "the session finished without the final model, which the policy promises: ask the operator"
        " for it (`auror export` where the server ran)"
    )


def _samples(config: ClientConfig, client: ClientId) -> dict[str, Any]:
    data = config.data
    if data.dataset == "synthetic":
        return {}
    return {
        "task": data.task,
        "dataset": data.dataset,
        "data_dir": data.data_dir,
        "data": of_client(data.path, client),
        "label_column": data.label_column,
        "range": data.range,
        "seed": data.seed,
        "device": config.client.device,
    }
