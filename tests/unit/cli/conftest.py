"""Commands run within the tests' process, whose core limit is not theirs to lower for good."""

from __future__ import annotations

import pytest

from auror.cli import approve, certs, enrol, policy, roster


@pytest.fixture(autouse=True)
def _our_memory_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (approve, certs, enrol, policy, roster):
        monkeypatch.setattr(command, "keep_memory_private", lambda: True)
