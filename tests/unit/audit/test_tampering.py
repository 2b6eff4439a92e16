"""An audit that somebody changed afterwards without the server's key: each change is named.

What cannot be is said by ``test_a_tail_taken_off_with_its_rounds_takes_a_printed_head_to_see``.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from auror_server.state.engines import open_intact
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from tampering import Edit, broken, checked, edited, rows, rows_of, signed

from auror.audit.broken import AuditBroken
from auror.audit.evidence import alike
from auror.audit.start import Roots
from auror.audit.verify import verify_audit
from auror.cli import main
from auror.deployment import issuing
from auror.deployment.audit_log import AuditSigner, unpacked
from auror.deployment.audit_reader import read_audited
from auror.errors import ConfigError, DataError
from auror.ids import ClientId

# Without the server's key -----------------------------------------------------------------------


def flip(table: str, column: str, key: str, value: int) -> Edit:
    def edit(raw: sqlite3.Connection) -> None:
        where = f"FROM {table} WHERE {key} = {value}"
        (held,) = raw.execute(f"SELECT {column} {where}").fetchone()
        changed = bytearray(held if isinstance(held, bytes) else held.encode())
        changed[len(changed) // 2] ^= 1
        new = bytes(changed) if isinstance(held, bytes) else changed.decode()
        raw.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = {value}", (new,))

    return edit


@pytest.mark.parametrize(
    ("table", "column", "key", "value", "said"),
    [
        ("audit", "entry", "number", 3, "entry 3"),
        ("audit", "head", "number", 3, "entry 3 (round 2): it, or one before it, is not what was"),
        ("audit", "signature", "number", 3, "entry 3 (round 2): the server's signature does not"),
        ("audit", "entry", "number", 0, "entry 0"),
        ("rounds", "record", "position", 3, "entry 5 (round 4): the record of its round was"),
        ("rounds", "timings", "position", 3, "entry 5 (round 4): the record of its round was"),
        ("facts", "fact", "counter", 1, "entry 3 (round 2): the facts of its round were changed"),
        ("observations", "mean", "position", 3, "entry 5 (round 4): the evidence of its round"),
        ("verdicts", "verdict", "position", 3, "entry 5 (round 4): the verdict of its round was"),
        ("models", "digest", "era = 0 AND step", 2, "entry 5 (round 4): the table of models names"),
        ("models", "digest", "era = 0 AND step", 4, "no round made the model of era 0, step 4"),
        ("rounds", "model", "position", 3, "entry 5 (round 4): the column model of its row is not"),
        ("runs", "settings", "id", 1, "the run's settings is not that of the last start"),
    ],
)
def test_a_flipped_bit_is_named(
    played: Path, tmp_path: Path, table: str, column: str, key: str, value: int, said: str
) -> None:
    assert said in broken(played, tmp_path, flip(table, column, key, value))


@pytest.mark.parametrize(
    ("table", "key", "said"),
    [
        ("audit", "number = 3", "entry 3"),
        ("rounds", "position = 3", "entry 5 (round 4): round 4 is due, and it or its row is not"),
        ("facts", "counter = 1", "entry 3 (round 2): the facts of its round were changed"),
        ("observations", "position = 3", "entry 5 (round 4): the evidence of its round, or of one"),
        ("ledger_rounds", "position = 3", "entry 5 (round 4): the evidence of its round, or of"),
        ("verdicts", "position = 3", "entry 5 (round 4): the verdict of its round was changed"),
    ],
)
def test_a_dropped_row_is_named(
    played: Path, tmp_path: Path, table: str, key: str, said: str
) -> None:
    said_now = broken(played, tmp_path, lambda raw: raw.execute(f"DELETE FROM {table} WHERE {key}"))
    assert said in said_now


def test_nothing_rides_along_behind_an_entry(played: Path, tmp_path: Path) -> None:
    def edit(raw: sqlite3.Connection) -> None:
        (held,) = raw.execute("SELECT entry FROM audit WHERE number = 3").fetchone()
        raw.execute("UPDATE audit SET entry = ? WHERE number = 3", (held + b"more",))

    assert "entry 3" in broken(played, tmp_path, edit)


def test_a_dropped_entry_is_named_when_the_others_are_numbered_anew(
    played: Path, tmp_path: Path
) -> None:
    def edit(raw: sqlite3.Connection) -> None:
        raw.execute("DELETE FROM audit WHERE number = 4")
        raw.execute("UPDATE audit SET number = -number WHERE number > 4")
        raw.execute("UPDATE audit SET number = -number - 1 WHERE number < 0")

    assert "entry 4 (round 4): it, or one before it, is not" in broken(played, tmp_path, edit)


def test_entries_in_another_order_are_named(played: Path, tmp_path: Path) -> None:
    def edit(raw: sqlite3.Connection) -> None:
        for before, after in ((4, -1), (5, 4), (-1, 5)):
            raw.execute("UPDATE audit SET number = ? WHERE number = ?", (after, before))

    assert "entry 4 (round 4): it, or one before it, is not" in broken(played, tmp_path, edit)


def test_entries_taken_off_the_end_are_missed(played: Path, tmp_path: Path) -> None:
    last = len(rows(played)) - 1

    def edit(raw: sqlite3.Connection) -> None:
        raw.execute(f"DELETE FROM audit WHERE number >= {last}")

    said = broken(played, tmp_path, edit)
    assert said == f"entry {last}: round 9 was closed and is no entry"


def test_a_tail_taken_off_with_its_rounds_takes_a_printed_head_to_see(
    played: Path, tmp_path: Path
) -> None:
    head = checked(played).head

    def edit(raw: sqlite3.Connection) -> None:
        (last,) = raw.execute("SELECT max(number) FROM audit").fetchone()
        raw.execute(f"DELETE FROM audit WHERE number = {last}")
        for table in ("observations", "ledger_rounds", "verdicts", "rounds"):
            raw.execute(f"DELETE FROM {table} WHERE position = 8")
        newest = "number = (SELECT max(number) FROM generations)"
        raw.execute(
            f"DELETE FROM models WHERE digest = (SELECT digest FROM generations WHERE {newest})"
        )
        raw.execute(f"DELETE FROM generations WHERE {newest}")

    assert checked(edited(played, tmp_path, edit)).rounds == 8  # nothing in the folder tells
    with pytest.raises(AuditBroken, match=f"no entry leads to the head {head}"):
        checked(tmp_path / "copy", head=head)
    assert checked(played, head=head).head == head


def test_a_head_is_taken_in_any_case_and_what_is_none_is_no_tampering(played: Path) -> None:
    head = checked(played).head
    assert checked(played, head=head.upper()).head == head
    for wrong in ("abc", head[:16], f"{head}0", "g" * 64, ""):
        with pytest.raises(ConfigError, match=f'head = "{wrong}": give the 64 hexadecimal digits'):
            checked(played, head=wrong)
    done = CliRunner().invoke(main, ["audit", "verify", str(played), "--head", "abc"])
    assert done.exit_code == 2
    assert '--head "abc": give the 64 hexadecimal digits' in done.stderr


def test_another_key_than_the_servers_signs_nothing(played: Path, tmp_path: Path) -> None:
    other = AuditSigner(issuing.issue_ca("other").key_pem)
    assert "entry 0: the server's signature does not verify" in broken(
        played, tmp_path, lambda raw: signed(raw, rows_of(raw), other)
    )


def test_a_clients_certificate_of_the_same_ca_signs_nothing(played: Path, tmp_path: Path) -> None:
    ca = issuing.issue_ca("test")
    key = ec.generate_private_key(ec.SECP256R1())
    issued = issuing.client_certificate(ca, "test", ClientId(4), key.public_key(), 30)
    client = issuing.Issued(issued, key)

    def edit(raw: sqlite3.Connection) -> None:
        start, *others = rows_of(raw)
        named = {"ca": ca.certificate_pem.decode(), "certificate": client.certificate_pem.decode()}
        texts = [json.dumps({**json.loads(start), **named}), *others]
        signed(raw, texts, AuditSigner(client.key_pem))

    said = broken(played, tmp_path, edit)
    assert said == "entry 0: the server's certificate: the deployment's CA issued it for a client"


def test_whatever_byte_of_the_file_is_flipped_what_is_verified_is_what_was_written(
    played: Path, tmp_path: Path
) -> None:
    folder = edited(played, tmp_path, lambda _: None)
    path, before = folder / "state.db", read_audited(folder)
    (folder / "state.db-wal").unlink(missing_ok=True)
    whole = path.read_bytes()
    found: list[AuditBroken | DataError] = []
    rng = np.random.default_rng(7)
    for at in rng.integers(0, len(whole), 40):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        try:
            checked(folder)
        except (AuditBroken, DataError) as error:
            found.append(error)
        else:
            assert read_audited(folder) == before
    assert len(found) > 10
    assert {error.exit_code for error in found} <= {4, 12}
    assert not [error for error in found if "\n" in str(error)]


def test_whom_the_reader_trusts_is_the_readers_choice(played: Path, tmp_path: Path) -> None:
    start = json.loads(rows(played)[0])
    roots = Roots(start["operator"].encode(), start["ca"].encode())
    assert checked(played, trusted=roots).roots == "given"
    foreign = replace(roots, ca=issuing.issue_ca("other").certificate_pem)
    with pytest.raises(AuditBroken, match="entry 0: its operator key or CA is not the one"):
        checked(played, trusted=foreign)


def test_an_audit_of_before_entries_were_packed_is_migrated_and_holds(
    played: Path, tmp_path: Path
) -> None:
    def edit(raw: sqlite3.Connection) -> None:
        raw.create_function("unpacked", 1, unpacked)
        raw.execute("ALTER TABLE audit RENAME TO packed")
        raw.execute("CREATE TABLE audit (number INTEGER PRIMARY KEY, entry, head, signature)")
        raw.execute("INSERT INTO audit SELECT number, unpacked(entry), head, signature FROM packed")
        raw.execute("DROP TABLE packed")
        raw.execute("UPDATE alembic_version SET version_num = '0003'")

    old = edited(played, tmp_path, edit)
    with pytest.raises(DataError, match="is of revision 0003"):
        checked(old)
    engine = open_intact(old / "state.db")
    assert not isinstance(engine, str)
    engine.dispose()
    assert checked(old) == checked(played)


# What there is to read --------------------------------------------------------------------------


def test_a_detector_of_the_runs_own_does_not_run_unasked(played: Path) -> None:
    with pytest.raises(ConfigError, match="test:scripted is code of the run's own: read it, and"):
        verify_audit(played)


def test_a_folder_without_audit_is_said_to_have_none(played: Path, tmp_path: Path) -> None:
    copy = edited(played, tmp_path, lambda raw: raw.execute("DELETE FROM audit"))
    with pytest.raises(DataError, match="has no audit"):
        checked(copy)
    with pytest.raises(DataError, match="holds no run of auror-server"):
        checked(tmp_path)


def test_numbers_are_alike_up_to_rounding() -> None:
    assert alike({"a": [1.0, 2]}, {"a": [1.0 + 1e-9, 2.0]})
    assert not alike({"a": 1.0}, {"a": 1.001})
    assert not alike([1], [1, 2])
    assert not alike(True, 1)
    assert not alike({"a": 1}, {"b": 1})
