"""Everybody of a run, one by one, as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_status import LIVE, eventful

from auror.cli import main
from auror.cli.clients import as_text
from auror.deployment.orders import Orders
from auror.deployment.status_socket import Presence
from auror.errors import DataError
from auror.ids import ClientId
from auror.report import status
from auror.report.clients import client_lines
from auror.report.status import run_status


def test_each_client_is_what_it_is_to_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eventful(tmp_path)
    Orders(excluded=frozenset([ClientId(4)]), paused=True).keep(tmp_path)
    monkeypatch.setattr(status, "ask", lambda _: (Presence.RUNNING, LIVE))
    found = client_lines(tmp_path)
    assert [line.standing for line in found.clients] == [
        "invited", "invited", "invited", "flagged", "excluded by hand", "paused for silence",
        "suspected", "invited", "excluded for its conduct",
    ]  # fmt: skip
    first, second = found.clients[1:3]
    assert (first.dropped, first.withdrawn, first.connected) == ({"SILENT": 1}, None, True)
    assert (second.dropped, second.withdrawn) == ({}, "DEVICE_FAILED")
    assert (first.in_total, first.invited, first.waited_for) == (0, 3, False)
    assert (second.in_total, second.invited, second.waited_for) == (0, 3, True)
    assert found.clients[5].paused_until == 8
    text = as_text(found).splitlines()
    assert text[0] == f"server running on {tmp_path}; of the last 3 rounds"
    assert text[3].split() == ["1", "yes", "invited", "0", "3", "SILENT", "×1"]
    assert "withdrew: DEVICE_FAILED" in text[4]
    assert "paused for silence until round 8" in text[7]


def test_without_a_server_nobody_is_said_to_be_here(tmp_path: Path) -> None:
    eventful(tmp_path)
    done = CliRunner().invoke(main, ["clients", str(tmp_path), "--format", "json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert {line["connected"] for line in said["clients"]} == {None}
    assert said["rounds"] == 3


def test_orders_stand_in_the_status(tmp_path: Path) -> None:
    eventful(tmp_path)
    Orders(excluded=frozenset([ClientId(4)]), paused=True).keep(tmp_path)
    found = run_status(tmp_path)
    assert (found.paused, found.by_hand) == (True, (4,))
    said = CliRunner().invoke(main, ["status", str(tmp_path)]).output
    assert f"on hold:     no round begins before `auror resume {tmp_path}`\n" in said
    assert "left out:    client 4, by `auror exclude`\n" in said


def test_a_folder_without_a_run_has_no_clients(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no run of auror-server"):
        client_lines(tmp_path)
