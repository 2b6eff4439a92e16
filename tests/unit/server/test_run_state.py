"""``state.db`` and its blobs: what is written comes back, to whose it is and to nobody else."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from auror_server.state import rows
from auror_server.state.blobs import BlobDamaged, Blobs
from auror_server.state.database import Database
from auror_server.state.engines import engine_of, make_file
from auror_server.state.identity import RunIdentity
from auror_server.state.opening import begin, look, resume
from auror_server.state.revisions import MIGRATIONS, migrate, revision_of
from auror_server.state.run import first_rows
from campaign_kit import Host
from kept_runs import IDENTITY, KIT, begun, flip, fresh, go_on, played, run_of, same
from killed_server import Killed, KilledServer
from rounds_kit import Deployment

from auror.deployment.run_reader import RunReader
from auror.deployment.run_seals import of_generation
from auror.deployment.run_tables import REVISION, STATE, metadata
from auror.errors import ConfigError, DataError
from auror.ids import ClientId
from auror.round.description import model_digest
from auror.round.facts import Attempted, UnmaskingBegun, UploadKept
from auror.round.messages import AcceptedSet
from auror.round.policy import NO_DIGEST, Policy
from auror.training.doubt import Doubt


def test_what_was_written_comes_back_bit_for_bit(tmp_path: Path) -> None:
    assert resume(tmp_path, IDENTITY, None, Host().initial) is None
    state = fresh()
    run = begin(tmp_path, IDENTITY, state)
    state.conduct.silences = {ClientId(3): 2}
    for index in range(5):
        played(run, state, total=index != 2)
    run.close()
    found = go_on(tmp_path)
    same(found.state, state)
    assert not found.lost
    assert found.run.interrupted() == ()
    reader = RunReader(tmp_path)
    assert [line["index"] for line in reader.rounds()] == [0, 1, 2, 3, 4]
    assert reader.timings() == [{"index": index} for index in range(5)]
    assert reader.verdict() == {"scores": {"0": 4}}
    assert reader.total(3).tolist() == list(range(Host.dim))
    assert not reader.finished
    with pytest.raises(DataError, match="keeps no total of round 2"):
        reader.total(2)
    played(found.run, found.state)
    found.run.finish(found.state)
    assert RunReader(tmp_path).finished
    found.run.close()
    with pytest.raises(ConfigError, match=r"holds a finished run.*--rounds \+N"):
        go_on(tmp_path)
    extended = resume(tmp_path, IDENTITY, None, Host().initial, extend=True)
    assert extended is not None
    same(extended.state, found.state)
    extended.run.close()


def test_two_generations_of_models_are_kept_and_nothing_else(tmp_path: Path) -> None:
    state = run_of(tmp_path, 4)
    with sqlite3.connect(tmp_path / STATE) as raw:
        kept = raw.execute("SELECT number, model, previous FROM generations").fetchall()
        named = raw.execute("SELECT era, step, digest FROM models ORDER BY step").fetchall()
    assert [number for number, *_ in kept] == [4, 5]
    total = {path.name for path in (tmp_path / "blobs").iterdir()}
    assert total >= {address for _, *two in kept for address in two}
    assert len(total) == 3 + 1  # three models, and the totals, which were the same
    assert named[-1] == (0, 4, model_digest(state.models.model).hex())


def test_facts_without_an_end_are_an_interrupted_round(tmp_path: Path) -> None:
    state = run_of(tmp_path)
    run = go_on(tmp_path).run
    run.note(begun(state))
    run.sync()
    run.note(Attempted(True, True))  # never synced: nobody was told
    run.close()
    found = go_on(tmp_path).run
    (broken,) = found.interrupted()
    assert (broken.counter, broken.attempted) == (3, False)
    for fact in (Attempted(True, True), UnmaskingBegun()):
        found.note(fact)
    found.sync()
    found.close()
    (broken,) = go_on(tmp_path).run.interrupted()
    assert (broken.attempted, broken.disputed, broken.shares_asked) == (True, True, True)
    row = sqlite3.connect(tmp_path / STATE).execute(
        "SELECT attempted, disputed, statistics_asked, shares_asked FROM rounds WHERE counter = 3"
    )
    assert row.fetchone() == (1, 1, 0, 1)


def test_facts_go_with_their_round_but_for_those_of_a_broken_off_one(tmp_path: Path) -> None:
    def kept() -> int:
        with sqlite3.connect(server.folder / STATE) as raw:
            (found,) = raw.execute("SELECT count(DISTINCT counter) FROM facts").fetchone()
        return int(found)

    (tmp_path / "run").mkdir()
    server = KilledServer(tmp_path / "run", rounds=2)
    server.round()
    assert kept() == 0
    with pytest.raises(Killed):
        server.round(kill_at=AcceptedSet)
    assert kept() == 1
    server.start()
    assert server.round() is not None
    assert kept() == 1  # nothing else tells how far the one that was broken off got
    assert server.verified().without_messages == (2,)


def test_pages_of_facts_that_went_are_used_again(tmp_path: Path) -> None:
    state, pages = fresh(), []
    database = Database.create(tmp_path, first_rows(IDENTITY, state, Blobs(tmp_path / "blobs")))
    for counter in range(5):
        state.counter = counter
        noted = [begun(state), *(UploadKept(ClientId(k), NO_DIGEST) for k in range(200))]
        database.write(change for fact in noted for change in rows.of_fact(counter, fact))
        database.write([rows.without_facts(counter)])
        with database.reading() as connection:
            pages.append(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
    database.close()
    assert pages == [pages[0]] * 5


def test_a_server_keeps_few_pages_in_memory(tmp_path: Path) -> None:
    make_file(tmp_path / "x.db")
    engine = engine_of(tmp_path / "x.db")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA cache_size").scalar() == -256


# Whose it is ------------------------------------------------------------------------------------


def signed(policy: Policy) -> Policy:
    return policy.signed(KIT.operator)


def later(**values: Any) -> Policy:
    new = {"version": 2, "predecessors": (KIT.policy.digest(),), **values}
    return signed(replace(KIT.policy, **new))


def foreign_member() -> Policy:
    other = Deployment(9, seed=5).policy.members[ClientId(4)]
    return signed(replace(KIT.policy, members={**KIT.policy.members, ClientId(4): other}))


@pytest.mark.parametrize(
    ("policy", "settings", "says"),
    [
        (replace(KIT.policy, deployment=b"x" * 16), "settings", "of deployment"),
        (foreign_member(), "settings", "the policy's client 4 is not the one"),
        (replace(KIT.policy, expires=7), "settings", "two policies of one version"),
        (later(predecessors=(model_digest(Host().initial(0)),)), "settings", "two policies of one"),
        (KIT.policy, "others", "with other settings"),
    ],
)
def test_only_the_same_deployment_goes_on(
    tmp_path: Path, policy: Policy, settings: str, says: str
) -> None:
    run_of(tmp_path)
    other = RunIdentity(policy, settings)
    for start in (
        lambda: resume(tmp_path, other, None, Host().initial),
        lambda: look(tmp_path, other, False),
    ):
        with pytest.raises(ConfigError, match=says):
            start()


def test_the_next_version_goes_on_and_an_older_one_does_not(tmp_path: Path) -> None:
    state = run_of(tmp_path)
    left = {c: entry for c, entry in KIT.policy.members.items() if c != 4}
    found = resume(tmp_path, RunIdentity(later(members=left), "settings"), None, Host().initial)
    assert found is not None
    same(found.state, state)
    played(found.run, found.state)  # from what it writes first on, the run is of that version
    found.run.close()
    with pytest.raises(ConfigError, match="copy the newest policy"):
        go_on(tmp_path)


# Versions ---------------------------------------------------------------------------------------


def test_migrations_lead_to_the_tables_of_this_version(tmp_path: Path) -> None:
    from alembic import command
    from alembic.autogenerate import compare_metadata
    from alembic.config import Config
    from alembic.migration import MigrationContext

    make_file(tmp_path / "x.db")
    engine = engine_of(tmp_path / "x.db")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    assert revision_of(engine) == REVISION
    migrate(engine, tmp_path)  # nothing is left to do
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []


def test_a_run_from_before_totals_were_compared_goes_on(tmp_path: Path) -> None:
    state = run_of(tmp_path)
    with sqlite3.connect(tmp_path / STATE) as raw:
        raw.row_factory = sqlite3.Row
        for row in raw.execute("SELECT * FROM generations").fetchall():
            kept = json.loads(row["state"])
            del kept["doubt"]
            before = {**dict(row), "state": json.dumps(kept)}
            raw.execute(
                "UPDATE generations SET state = ?, sealed = ? WHERE number = ?",
                (before["state"], of_generation(before), row["number"]),
            )
        raw.execute("UPDATE alembic_version SET version_num = '0004'")
    found = go_on(tmp_path)
    assert found.state.doubt.to_dict() == Doubt().to_dict()
    assert found.state.models.model.tobytes() == state.models.model.tobytes()


def test_a_newer_schema_is_refused_in_one_line(tmp_path: Path) -> None:
    run_of(tmp_path)
    with sqlite3.connect(tmp_path / STATE) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(
        ConfigError, match="revision 0999, this auror-server knows 0001, 0002, 0003, 0004, 0005"
    ) as told:
        go_on(tmp_path)
    assert "\n" not in str(told.value)
    with pytest.raises(ConfigError, match="0999"):
        look(tmp_path, IDENTITY, False)
    with pytest.raises(DataError, match="revision 0999, this version reads 0005"):
        RunReader(tmp_path).rounds()


def test_looking_writes_nothing(tmp_path: Path) -> None:
    state = run_of(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    found = look(tmp_path, IDENTITY, False)
    assert found is not None
    assert found.to_dict() == state.to_dict()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    (tmp_path / STATE).unlink()
    with pytest.raises(ConfigError, match="is missing"):
        look(tmp_path, IDENTITY, False)


def test_a_folder_that_cannot_be_written_can_be_read(tmp_path: Path) -> None:
    run_of(tmp_path)
    tmp_path.chmod(0o500)
    try:
        assert len(RunReader(tmp_path).rounds()) == 3
    finally:
        tmp_path.chmod(0o700)


def test_blobs_are_what_their_names_say(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    address = blobs.put(b"content")
    assert blobs.put(b"content") == address
    assert blobs.get(address) == b"content"
    other = blobs.put(b"other")
    (tmp_path / "blobs" / ".half.new").write_bytes(b"ha")
    blobs.keep_only({address})
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == [address]
    with pytest.raises(BlobDamaged, match="cannot be read"):
        blobs.get(other)
    flip(tmp_path / "blobs" / address)
    with pytest.raises(BlobDamaged, match="is damaged"):
        blobs.get(address)
    assert blobs.put(b"content") == address  # and is mended where it is known
    assert blobs.get(address) == b"content"
