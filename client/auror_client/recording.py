"""Optional records for replays and load tests: sensitive, off by default."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Secret
from auror.errors import ConfigError
from auror.files import replace_file
from auror.ids import ClientId
from auror.params import RoundParams
from auror.round.arithmetic import quantiser
from auror_client.config import RecordSection


class Recording:
    """Writes what ``[record]`` asks for; called from many threads."""

    def __init__(self, settings: RecordSection) -> None:
        self._lock = threading.Lock()
        self._randomness = Path(settings.randomness) if settings.randomness else None
        self._inputs = Path(settings.inputs) if settings.inputs else None
        try:
            if self._randomness is not None:
                self._randomness.parent.mkdir(parents=True, exist_ok=True)
                self._randomness.touch(mode=0o600)
            if self._inputs is not None:
                self._inputs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"[record]: cannot write {error.filename}: {error.strerror}"
            ) from error

    @property
    def wanted(self) -> bool:
        """Whether anything is written."""
        return self._randomness is not None or self._inputs is not None

    def seeds(self, counter: int, client: ClientId, training: int, rounding: Secret) -> None:
        """One line: enough to repeat this client's update of this round."""
        if self._randomness is None:
            return
        line = {
            "counter": counter,
            "client": client,
            "training_seed": training,
            "rounding": rounding.reveal().hex(),
        }
        with self._lock, self._randomness.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def update(
        self,
        counter: int,
        client: ClientId,
        params: RoundParams,
        update: NDArray[np.float32],
        rounding: Secret,
    ) -> None:
        """The quantised update, uint32, as COUNTER-CLIENT.npy. It does not wait for the disk, which
        held up a load test's clients."""
        if self._inputs is None:
            return
        values = quantiser(params).quantise(update, rounding)
        content = io.BytesIO()
        np.save(content, values, allow_pickle=False)
        path = self._inputs / f"{counter}-{client}.npy"
        replace_file(path, content.getvalue(), 0o600, durable=False)
