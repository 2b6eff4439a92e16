"""``auror-client`` whose statistics are not those of its update; run as ``python -m liar``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from auror_client.cli import main

from auror.round.client import machine

_honest = machine.send_statistics


def _lie(*args: Any) -> Any:
    sent, message = _honest(*args)
    words = np.frombuffer(message.payload, dtype="<u8").copy()
    words[:1] += np.uint64(1)
    return sent, replace(message, payload=words.tobytes())


machine.send_statistics = _lie  # type: ignore[assignment]

if __name__ == "__main__":
    main()
