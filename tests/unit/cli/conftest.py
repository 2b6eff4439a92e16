"""Commands run within the tests' process, whose core limit is not theirs to lower for good."""

from __future__ import annotations

import pytest

from auror.cli import certs, policy


@pytest.fixture(autouse=True)
def _our_memory_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (certs, policy):
        monkeypatch.setattr(command, "keep_memory_private", lambda: True)
