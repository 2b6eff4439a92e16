"""A run folder that was harmed: it is told in one line, never used in silence."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from auror_server.state.blobs import Blobs
from auror_server.state.opening import begin, look, resume
from campaign_kit import Host
from kept_runs import IDENTITY, begun, flip, fresh, go_on, played, run_of, same

from auror.deployment.run_tables import COPY, STATE
from auror.errors import ConfigError, MachineError
from auror.ids import ClientId
from auror.round.description import model_digest


def overwrite(path: Path) -> None:
    path.write_bytes(b"no database" * 500)


def lose(path: Path) -> None:
    path.unlink()


def alter(path: Path) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE observations SET mean = zeroblob(length(mean)) WHERE position = 1")


@pytest.mark.parametrize("harm", [overwrite, lose, alter, lambda path: flip(path, 0.0)])
def test_a_damaged_database_names_the_generation_of_its_copy(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    state = run_of(tmp_path)
    harm(tmp_path / STATE)
    for wrong in (None, 3, 5):
        with pytest.raises(ConfigError, match=r"generation 4 is intact in state-copy\.db") as told:
            go_on(tmp_path, wrong)
    assert "`auror-server … --set server.generation=4`" in str(told.value)
    assert "\n" not in str(told.value)
    found = go_on(tmp_path, 4)
    same(found.state, state)
    assert not found.lost
    found.run.close()
    same(go_on(tmp_path).state, state)  # and both are whole again
    harm(tmp_path / COPY)
    same(go_on(tmp_path).state, state)


def test_every_flipped_byte_of_a_row_is_seen(tmp_path: Path) -> None:
    run_of(tmp_path)
    content = "record", "fact", "verdict", "state", "members", "model"
    tables = "rounds", "facts", "verdicts", "generations", "observations", "generations"
    for column, table in zip(content, tables, strict=True):
        folder = tmp_path.with_name(f"{tmp_path.name}-{column}")
        shutil.copytree(tmp_path, folder)
        with sqlite3.connect(folder / STATE) as raw:
            raw.execute(
                f"UPDATE {table} SET {column} = replace({column}, '1', '2')"
                f" WHERE rowid = (SELECT max(rowid) FROM {table} WHERE {column} LIKE '%1%')"
            )
        with pytest.raises(ConfigError, match=r"state\.db is damaged"):
            go_on(folder)


def test_both_damaged_is_the_end(tmp_path: Path) -> None:
    run_of(tmp_path)
    for name in (STATE, COPY):
        overwrite(tmp_path / name)
    with pytest.raises(ConfigError, match="restore one of them"):
        go_on(tmp_path)


def test_a_log_that_was_lost_is_not_an_older_state(tmp_path: Path) -> None:
    state = fresh()
    run = begin(tmp_path, IDENTITY, state)
    played(run, state)
    folder = tmp_path.with_name(f"{tmp_path.name}-power")
    shutil.copytree(tmp_path, folder)  # as a power cut leaves it
    run.close()
    assert (folder / f"{STATE}-wal").stat().st_size
    (folder / f"{STATE}-wal").write_bytes(b"")
    same(go_on(folder).state, state)


def blobs_of(folder: Path, number: int) -> tuple[Path, Path]:
    with sqlite3.connect(folder / STATE) as raw:
        found = raw.execute("SELECT model, previous FROM generations WHERE number = ?", (number,))
        model, previous = found.fetchone()
    return folder / "blobs" / model, folder / "blobs" / previous


@pytest.mark.parametrize("harm", [flip, lose])
def test_a_damaged_model_names_the_generation_before(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    state = run_of(tmp_path)
    model, _previous = blobs_of(tmp_path, 4)
    harm(model)
    with pytest.raises(ConfigError, match="the model of generation 3 is intact") as told:
        go_on(tmp_path)
    assert model.name in str(told.value)
    assert "`auror-server … --set server.generation=3`" in str(told.value)
    found = go_on(tmp_path, 3)
    models, before = found.state.models, state.models.previous
    assert found.lost
    assert before is not None
    assert models.model.tobytes() == before.tobytes()
    # under a name that no client knows, after the one that is lost
    assert (models.step, models.parent) == (4, model_digest(state.models.model))
    assert (found.state.index, found.state.counter) == (state.index, state.counter)
    assert len(found.state.ledger.rounds) == 3
    found.run.close_rounds([], found.state)
    found.run.close()
    same(go_on(tmp_path).state, found.state)
    with pytest.raises(ConfigError, match="generation 5 is intact; leave it out"):
        go_on(tmp_path, 3)


def test_a_lost_model_before_the_last_costs_a_retreat_its_aim(tmp_path: Path) -> None:
    state = run_of(tmp_path)
    lose(blobs_of(tmp_path, 4)[1])
    with pytest.raises(ConfigError, match=r"--set server\.generation=4`"):
        go_on(tmp_path)
    found = go_on(tmp_path, 4)
    assert not found.lost
    assert found.state.models.model.tobytes() == state.models.model.tobytes()
    assert found.state.models.trained
    found.state.models.book(attempted=True, unmasking=True)
    found.state.models.leave_spent_step(9)
    np.testing.assert_allclose(found.state.models.model, state.models.model * 0.9, rtol=1e-5)


def test_no_intact_model_is_the_end(tmp_path: Path) -> None:
    run_of(tmp_path)
    for number in (3, 4):
        flip(blobs_of(tmp_path, number)[0])
    with pytest.raises(ConfigError, match="no generation is intact"):
        go_on(tmp_path)


@pytest.mark.parametrize("left", ["config.toml", "policy.json", "model.safetensors"])
def test_a_state_that_is_gone_is_not_a_new_beginning(tmp_path: Path, left: str) -> None:
    (tmp_path / left).touch()
    for start in (lambda: go_on(tmp_path), lambda: look(tmp_path, IDENTITY, False)):
        with pytest.raises(ConfigError, match=rf"holds {left} of a run .* not its state\.db"):
            start()


def test_what_a_crash_leaves_of_a_beginning_is_no_run(tmp_path: Path) -> None:
    Blobs(tmp_path / "blobs").put(b"first model")
    (tmp_path / "state.db.new").write_bytes(b"half")
    assert resume(tmp_path, IDENTITY, None, Host().initial) is None
    run_of(tmp_path)
    assert not (tmp_path / "state.db.new").exists()


def test_what_the_machine_does_is_no_damage(tmp_path: Path) -> None:
    state = run_of(tmp_path)
    for name in (STATE, COPY):
        (tmp_path / name).replace(tmp_path / f"{name}.away")
        (tmp_path / name).mkdir()
        with pytest.raises(MachineError, match=rf"{name}: unable to open .*; mend that"):
            go_on(tmp_path)
        (tmp_path / name).rmdir()
        (tmp_path / f"{name}.away").replace(tmp_path / name)
    same(go_on(tmp_path).state, state)


@pytest.mark.parametrize("full", [STATE, COPY])
def test_a_disk_that_takes_nothing_more_loses_nothing(tmp_path: Path, full: str) -> None:
    state = run_of(tmp_path)
    run = go_on(tmp_path).run
    database = run._database
    engine = database._engine if full == STATE else database._copy
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    run.note(replace(begun(state), cohort=tuple(map(ClientId, range(20_000)))))
    with pytest.raises(MachineError, match="full; mend that and start again"):
        run.sync()
    run.close()
    same(go_on(tmp_path).state, state)
