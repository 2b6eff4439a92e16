"""``auror-client`` with a load test's training that takes a minute."""

from __future__ import annotations

import time
from typing import Any

from auror_client.cli import main
from auror_client.trainer import SyntheticTrainer

SECONDS = 60.0
_train = SyntheticTrainer.train


def slow(self: SyntheticTrainer, *given: Any) -> Any:
    time.sleep(SECONDS)
    return _train(self, *given)


if __name__ == "__main__":
    SyntheticTrainer.train = slow  # type: ignore[method-assign]
    main()
