"""A run with an audit, played once."""

from __future__ import annotations

from pathlib import Path

import pytest
from killed_server import KilledServer
from tampering import FLAGS


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trainings of four rounds, one round broken off by a crash, client 4 flagged."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    folder.mkdir()
    server = KilledServer(folder, rounds=4, flags=FLAGS)
    server.play_with_a_crash()
    found = server.verified()
    assert (found.rounds, found.without_messages) == (9, (2,))
    assert found.signatures > 9 * 20
    assert found.verdicts > 3
    return server.folder
