"""Where a run stands, from its database alone and with what a server says; as JSON and as text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from auror_server.state.identity import RunIdentity
from auror_server.state.opening import begin
from auror_server.state.rows import Closing
from auror_server.state.run import RunState
from click.testing import CliRunner
from kept_runs import KIT, begun, flip, fresh, played

from auror.cli import main
from auror.cli.status import as_text
from auror.deployment import status_socket
from auror.deployment.run_reader import RunReader, reading
from auror.deployment.run_tables import STATE, rounds
from auror.errors import AbortReason, DataError, DropReason, Refusal
from auror.ids import ClientId
from auror.report import status
from auror.report.status import run_status
from auror.round.record import RoundRecord
from auror.round.record_json import record_from_json

LIVE = {
    "activity": "playing a round", "counter": 3, "phase": "upload", "phase_s": 12.3,
    "deadline_s": 47.6, "waiting_for": [2, 7], "enough": False, "connected": [0, 1, 2],
    "refused": {"malformed": 2}, "by_hand": [], "stopping": False,
}  # fmt: skip
C = ClientId


def begin_run(folder: Path) -> tuple[RunState, Any]:
    state = fresh()
    return begin(folder, RunIdentity(KIT.policy, "settings"), state), state


def eventful(folder: Path) -> None:
    """Two rounds with a total and one without; somebody flagged, silent, withdrawn; one open."""
    run, state = begin_run(folder)
    played(run, state)
    played(run, state)
    state.confirmation.flagged[C(3)] = 1
    state.conduct.attendance.until[C(5)] = 7
    state.conduct.excluded[C(8)] = 1
    last = last_record(folder)
    fact = begun(state)
    run.note(fact)
    run.sync()
    record = replace(
        last, index=2, round_id=fact.round_id, aborted=AbortReason.TOO_FEW_DEALT, accepted=(),
        dropped={C(1): DropReason.SILENT, C(2): DropReason.REFUSED},
        withdrawn={C(2): Refusal.DEVICE_FAILED},
    )  # fmt: skip
    state.models.failed, state.index, state.counter = 1, 3, 3
    closing = Closing(
        record=record,
        extra={"metrics": {"accuracy": 0.913, "attack_success": None}, "seconds": 4.5},
        timings={"refused": {"too often": 4}},
    )
    run.close_rounds([closing], state, {"flagged": [3, 6]})
    run.note(begun(state))
    run.sync()
    run.close()


def last_record(folder: Path) -> RoundRecord:
    return record_from_json(RunReader(folder).rounds()[-1])


def test_without_a_server_the_database_tells(tmp_path: Path) -> None:
    eventful(tmp_path)
    found = run_status(tmp_path)
    assert (found.server, found.live, found.finished) == ("not running", None, False)
    assert (found.rounds_done, found.rounds_planned, found.rounds_failed) == (2, 5, 1)
    assert found.broken_off == (3,)
    assert found.metrics == {"accuracy": 0.913, "attack_success": None}
    assert found.metrics_round == 3
    assert (found.flagged, found.suspected, found.excluded) == ((3,), (6,), (8,))
    conduct = found.conduct
    assert conduct is not None
    assert conduct.paused == {5: 8}
    assert conduct.withdrawn == {2: {"reason": "DEVICE_FAILED", "round": 3}}
    assert conduct.dropped == {"SILENT": {1: 1}}
    assert conduct.refused == {"too often": 4}
    text = as_text(found)
    assert text.startswith(f"server:      not running on {tmp_path}, start it again to go on; what")
    assert "rounds:      2 of 5 with a total, 1 without; 1 ended with the server\n" in text
    assert "last round:  round 3 of the run: TOO_FEW_DEALT, 4.5 s\n" in text
    assert "metrics:     accuracy 0.913 (after round 3)\n" in text
    assert "paused:      for silence: client 5 until round 8\n" in text
    assert "withdrawn:   client 2 DEVICE_FAILED (round 3)\n" in text


def test_a_running_server_adds_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eventful(tmp_path)
    monkeypatch.setattr(status, "ask", lambda _: (status_socket.Presence.RUNNING, LIVE))
    found = run_status(tmp_path)
    assert found.broken_off == ()  # it is played
    assert found.conduct is not None
    assert found.conduct.refused == {"malformed": 2}
    text = as_text(found)
    assert "now:         round 4 of the run, phase upload, 12 s\n" in text
    assert "deadline:    in 48 s\n" in text
    assert "waiting for: clients 2, 7\n" in text


def test_a_server_that_does_not_answer_is_said_to_be_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eventful(tmp_path)
    monkeypatch.setattr(status, "ask", lambda _: (status_socket.Presence.SILENT, None))
    text = as_text(run_status(tmp_path))
    assert text.startswith(f"server:      running, but does not answer on {tmp_path}; what follows")


def test_a_finished_run_is_finished_and_watching_it_ends(tmp_path: Path) -> None:
    run, state = begin_run(tmp_path)
    record = begun(state)
    run.note(record)
    run.finish(state)
    run.close()
    done = CliRunner().invoke(main, ["status", str(tmp_path), "--watch", "--format", "json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert (said["finished"], said["server"]) == (True, "not running")
    assert "not running" in CliRunner().invoke(main, ["status", str(tmp_path)]).output


def test_a_look_is_of_one_moment(tmp_path: Path) -> None:
    """Rounds that are closed while a reader looks do not appear half-way."""
    run, state = begin_run(tmp_path)
    with reading(tmp_path / STATE) as connection:
        assert connection.execute(rounds.select()).all() == []
        played(run, state)
        assert connection.execute(rounds.select()).all() == []
    run.close()
    assert last_record(tmp_path).index == 0


def test_a_folder_without_a_run_and_a_damaged_one_are_one_line_each(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no run of auror-server: name its server\.run_dir"):
        run_status(tmp_path / "nothing")
    eventful(tmp_path)
    flip(tmp_path / "state.db", 0)
    done = CliRunner().invoke(main, ["status", str(tmp_path)])
    assert done.exit_code == 4
    assert done.output.startswith(f"auror: {tmp_path / 'state.db'} cannot be read")
    assert done.output.count("\n") == 1
