"""``--check`` of the two programs: everything that a start would load, ✓ or ✗ with the fix."""

from __future__ import annotations

import datetime
import json
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from auror_client import cli as client_cli
from auror_client.journal import Journal
from auror_server import cli as server_cli
from auror_server.store import lock_folder
from click.testing import CliRunner

from auror.crypto.signing import SigningKey
from auror.deployment import certs, issuing
from auror.deployment.credentials import load_policy
from auror.deployment.policy_file import policy_json
from auror.ids import ClientId
from auror.params import RoundParams
from auror.programs.enrol import synthetic_terms
from auror.programs.processes import free_address

MAINS = {"auror_server": server_cli.main, "auror_client": client_cli.main}
PARAMS = RoundParams(group_size=2, colluders=1, audit_probability=0.0)


def enrol(folder: Path) -> None:
    certs.create_deployment(folder / "certs", 3, ["127.0.0.1"], synthetic_terms(50, PARAMS, 500))


def run(program: str, *words: str, cwd: Path) -> tuple[int, str]:
    """Exit code and everything it said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        patch.setenv("AUROR_SERVER__SERVER__HEALTH", "")
        done = CliRunner().invoke(MAINS[program], words)
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Deployments: one that is fine, one with expired certificates under a fresh policy."""
    folder = tmp_path_factory.mktemp("house")
    enrol(folder)
    old = folder / "old"
    with pytest.MonkeyPatch.context() as patch:
        long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=900)
        patch.setattr(issuing, "_now", lambda: long_ago)
        enrol(old)
    fresh = replace(load_policy(old / "certs" / "server"), expires=2**40)
    key = SigningKey.from_pem((old / "certs" / "operator" / "operator.key").read_bytes())
    for part in ("server", "clients/000"):
        (old / "certs" / part / "policy.json").write_bytes(policy_json(fresh.signed(key)))
    for part in ("server", "clients/000"):
        copy = folder / "open" / part
        shutil.copytree(folder / "certs" / part, copy)
        (copy / "key.pem").chmod(0o644)
        copy = folder / "mixed" / part
        shutil.copytree(folder / "certs" / part, copy)
        shutil.copy(old / "certs" / part / "key.pem", copy / "key.pem")
        copy = folder / "foreign" / part
        shutil.copytree(folder / "certs" / part, copy)
        shutil.copy(old / "certs" / part / "ca.pem", copy / "ca.pem")
    (folder / "file").touch()
    return folder


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 0, "✓ policy: deployment"),
        (["--credentials", "nowhere"], 3, "✗ credentials: no credentials folder nowhere"),
        (["--credentials", "certs/clients/001"], 3, "is a client's certificate"),
        (["--credentials", "old/certs/server"], 3, "cert.pem expired on"),
        (["--credentials", "open/server"], 3, "run `chmod 600 open/server/key.pem`"),
        (["--credentials", "mixed/server"], 3, "not the key of cert.pem"),
        (["--credentials", "foreign/server"], 3, "not issued by the CA in ca.pem"),
        (["--run-dir", "file/run"], 2, "✗ run folder: server.run_dir = file/run"),
        (["--listen", "192.0.2.1:7443"], 5, "✗ listen: server.listen: cannot listen"),
        (["--listen", "BUSY"], 5, "✗ listen: server.listen: cannot listen"),
        (["--rounds", "9999"], 2, "✗ policy: rounds = 9999: the policy allows"),
    ],
)
def test_a_server_says_all_that_is_wrong(
    house: Path, words: list[str], code: int, says: str
) -> None:
    before = sorted(house.rglob("*"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        given = [busy if word == "BUSY" else word for word in words]
        if "--listen" not in given:
            given += ["--listen", free_address()]
        if "--credentials" not in given:
            given += ["--credentials", "certs/server"]
        got, said = run("auror_server", "--check", *given, cwd=house)
    assert got == code, said
    assert says in said
    assert ("✗" in said) == (code != 0)
    assert len([line for line in said.splitlines() if line[:1] not in "✓✗"]) == 0
    assert sorted(house.rglob("*")) == before


@pytest.mark.parametrize(("signed", "code"), [(2048, 2), (46**2 + 8, 0)])
def test_a_server_says_that_clients_would_refuse_its_statistics(
    tmp_path: Path, signed: int, code: int
) -> None:
    terms = synthetic_terms(5000, PARAMS, 500, classes=46)
    terms = replace(terms, caps=replace(terms.caps, max_statistics=signed))
    certs.create_deployment(tmp_path / "certs", 3, ["127.0.0.1"], terms)
    words = ["--credentials", "certs/server", "--listen", free_address()]
    words += ["--set", 'session.after_flag="continue"']
    got, said = run("auror_server", "--check", *words, cwd=tmp_path)
    assert got == code, said
    refused = "✗ plan: statistics: clients would refuse the plan (2124 statistics, at most"
    assert (refused in said) == bool(code)
    assert ("✓ plan: at most 2124 statistics of a group" in said) != bool(code)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 0, "✓ credentials and policy: client 0, version 1"),
        (["--credentials", "certs/clients", "--clients", "0-2"], 0, "client 0 and 2 more"),
        (["--credentials", "certs/server"], 3, "is a server's certificate"),
        (["--credentials", "old/certs/clients/000"], 3, "cert.pem expired on"),
        (["--credentials", "open/clients/000"], 3, "run `chmod 600 open/clients/000/key.pem`"),
        (["--credentials", "mixed/clients/000"], 3, "not the key of cert.pem"),
        (["--state", "file/state"], 2, "✗ state folder: client.state = file/state"),
        (["--server", "nowhere.invalid:1"], 5, "no address is known for nowhere.invalid"),
        (["--set", "rules.min_group=1"], 2, "rules.min_group = 1 has no effect"),
        (["--dataset", "nope"], 2, "✗ task: the policy's training task"),
        (["--set", "record.inputs=file/x"], 2, "✗ record: record.inputs = file/x"),
    ],
)
def test_a_client_says_all_that_is_wrong(
    house: Path, words: list[str], code: int, says: str
) -> None:
    before = sorted(house.rglob("*"))
    given = list(words)
    if "--credentials" not in given:
        given += ["--credentials", "certs/clients/000"]
    if "--dataset" not in given:
        given += ["--dataset", "synthetic"]
    got, said = run("auror_client", "--check", *given, cwd=house)
    assert says in said
    assert got == code, said
    assert ("✗" in said) == (code != 0)
    assert sorted(house.rglob("*")) == before


@pytest.mark.parametrize(
    ("program", "credentials", "says"),
    [
        ("auror_server", "old/certs/server", "expired on"),
        ("auror_server", "open/server", "chmod 600"),
        ("auror_server", "certs/clients/001", "is a client's certificate"),
        ("auror_client", "old/certs/clients/000", "expired on"),
        ("auror_client", "foreign/clients/000", "not issued by the CA"),
    ],
)
def test_what_a_check_refuses_does_not_start(
    house: Path, program: str, credentials: str, says: str
) -> None:
    got, said = run(program, "--credentials", credentials, cwd=house)
    assert got == 3
    assert says in said
    assert said.count("\n") == 1


def test_a_check_finds_who_runs_already(house: Path, tmp_path: Path) -> None:
    words = ["--credentials", "certs/server", "--listen", free_address(), "--run-dir"]
    run_dir, state = tmp_path / "run", tmp_path / "state"
    with lock_folder(run_dir):
        got, said = run("auror_server", "--check", *words, str(run_dir), cwd=house)
    assert (got, "✗ run folder: server.run_dir: another auror-server" in said) == (2, True), said
    assert run("auror_server", "--check", *words, str(run_dir), cwd=house)[0] == 0
    name = load_policy(house / "certs" / "server").name
    words = ["--check", "--credentials", "certs/clients/001", "--dataset", "synthetic", "--state"]
    with Journal(state, name, ClientId(1)):
        got, said = run("auror_client", *words, str(state), cwd=house)
    assert (got, "✗ state folder: client.state: another process runs client 1" in said) == (2, True)
    assert run("auror_client", *words, str(state), cwd=house)[0] == 0
    (state / name / "client-001.json").write_text("{", encoding="utf-8")
    assert "client-001.json cannot be read" in run("auror_client", *words, str(state), cwd=house)[1]
    (tmp_path / "old" / "other").mkdir(parents=True)
    got, said = run("auror_client", *words, str(tmp_path / "old"), cwd=house)
    assert (got, "belongs to deployment other" in said) == (2, True), said
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["other"]


def test_a_full_disk_and_few_files_are_found(
    house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000)  # type: ignore[attr-defined]
    monkeypatch.setattr("auror.deployment.checks.shutil.disk_usage", lambda _: full)
    words = ["--check", "--credentials", "certs/server", "--listen", free_address()]
    got, said = run("auror_server", *words, cwd=house)
    assert (got, "✗ disk: server.run_dir = runs/server: " in said) == (11, True), said
    assert "are needed and 1 kB are free there; make room" in said
    words = ["--check", "--credentials", "certs/clients/000", "--dataset", "synthetic", "--format",
             "json"]  # fmt: skip
    monkeypatch.setattr("auror.deployment.locks.resource.getrlimit", lambda _: (90, 90))
    monkeypatch.setattr("auror.deployment.locks.resource.setrlimit", lambda *_: None)
    got, said = run("auror_client", *words, cwd=house)
    whole = json.loads(said.splitlines()[-1])  # after the log
    found = {line["check"]: line for line in whole["checks"]}
    assert (got, whole["code"], whole["ok"]) == (11, 11, False)
    assert "raise the limit (`ulimit -n 103`)" in found["open files"]["fix"]
    assert not found["disk"]["ok"]
    assert found["budget"]["found"] == "0 of 550 attempts, 0 of 550 totals used"


def test_settings_that_cannot_be_used_are_the_end_of_a_check(house: Path) -> None:
    for program in ("auror_server", "auror_client"):
        got, said = run(program, "--check", "--set", "no.such=1", cwd=house)
        assert (got, said.startswith("✗ settings: no.such=1: unknown key")) == (2, True)
        assert said.count("\n") == 1


def test_a_spent_budget_is_found(house: Path, tmp_path: Path) -> None:
    policy = load_policy(house / "certs" / "server")
    most = policy.budget.max_openings
    with Journal(tmp_path, policy.name, ClientId(0)) as journal:
        journal.save(replace(journal.memory, all_attempts=most))
    words = ["--check", "--credentials", "certs/clients/000", "--dataset", "synthetic", "--state"]
    got, said = run("auror_client", *words, str(tmp_path), cwd=house)
    assert (
        got,
        f"✗ budget: client 0: the budget of this client's data is spent ({most}" in said,
    ) == (
        8,
        True,
    ), said
