"""The audit of a round on a sparse graph, of whose lists no client has seen more than a part."""

from __future__ import annotations

from pathlib import Path

import pytest
from killed_server import KilledServer

from auror.secagg.topology import Topology

WIRED = Topology(24, 1, degree=8, shares=6, window=2, committee=9, silent=4)


def test_the_server_keeps_whole_lists_and_the_audit_finds_their_roots_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Topology, "for_cohort", classmethod(lambda cls, *args: WIRED))
    server = KilledServer(tmp_path, rounds=1, clients=24)
    record = server.round()
    assert record is not None
    assert record.total_opened
    server.finish()
    # keys and views of all 24, U3 and A by the committee of nine
    assert server.verified().signatures == 24 + 24 + 9 + 9
