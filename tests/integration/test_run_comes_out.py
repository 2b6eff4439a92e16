"""What a run leaves behind at a server and its clients, and the commands that read it."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil
from pathlib import Path

import kit
import numpy as np
import page_kit
import pytest
from click.testing import CliRunner, Result
from sklearn.datasets import load_digits

from auror.cli import main
from auror.deployment.certs import create_deployment
from auror.deployment.model_file import model_sha256, read_model
from auror.deployment.policy_file import parse_policy
from auror.deployment.run_reader import RunReader
from auror.programs.enrol import Enrolment, terms_of
from auror.programs.processes import free_address, programs, wait_until_listening
from auror.round.description import model_digest

CLIENTS = 6


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of a server and six clients that trained three rounds."""
    folder, address = tmp_path_factory.mktemp("served"), free_address()
    terms = terms_of(Enrolment(clients=CLIENTS, dataset="digits", rounds=3))
    terms = dataclasses.replace(terms, params=kit.PARAMS)
    create_deployment(folder / "certs", CLIENTS, ["127.0.0.1"], terms)
    learning = {"learning.dataset": "digits", "session.rounds": 3}
    with programs(folder / "logs") as starter:
        server = starter.server({**kit.server_settings(folder, address), **learning})
        wait_until_listening(address, server)
        clients = starter.clients(
            kit.client_settings(folder, address, "0-5", data__dataset="digits")
        )
        assert server.process.wait(kit.PATIENCE) == 0, server.last_line()
        assert clients.process.wait(kit.PATIENCE) == 0, clients.last_line()
    assert "report made" in server.log.read_text()
    return folder


@pytest.fixture
def run(house: Path) -> Path:
    """The server's run folder."""
    return house / "run"


def invoke(*words: object) -> Result:
    return CliRunner().invoke(main, list(map(str, words)))


def test_three_rounds_were_learnt_by_everybody(run: Path) -> None:
    lines = RunReader(run).rounds()
    assert [line["aborted"] for line in lines] == [None] * 3
    assert all(line["accepted"] == list(range(CLIENTS)) for line in lines)
    assert lines[-1]["metrics"]["accuracy"] > 0.5
    model = read_model(run / "model.safetensors")
    assert model.dtype == np.float32
    assert model_digest(model).hex() == lines[-1]["model"]


def test_every_client_keeps_its_account(house: Path) -> None:
    journals = sorted((house / "state").rglob("client-*.json"))
    assert len(journals) == CLIENTS
    assert all(json.loads(path.read_text())["totals"] == 3 for path in journals)
    said = (house / "logs" / "clients.log").read_text()
    line = (
        "3 rounds joined, 3 attempts, 3 openings (3 of label rows), 3 totals, smallest group 2"
        " (leverage 0.50)"
    )
    assert all(f"account of client {client}: {line}" in said for client in range(CLIENTS))
    code, told = kit.run(
        "auror_client", "--account", "--format", "json", "--credentials", "certs/clients",
        "--clients", "0-5", "--state", "state", cwd=house,
    )  # fmt: skip
    assert code == 0
    assert [(one["client"], one["totals"]) for one in json.loads(told)] == [
        (client, 3) for client in range(CLIENTS)
    ]


def test_the_server_leaves_a_page_an_account_and_its_policy(run: Path) -> None:
    account = json.loads((run / "account.json").read_text())
    assert (account["rounds_opened"], account["smallest_group"]) == (3, 2)
    assert account["statistic_recovery"] is None  # known only where the truth is
    policy = parse_policy((run / "policy.json").read_bytes())
    page = (run / "report.html").read_text()
    assert policy.digest().hex() in page
    assert page.count("<svg") >= 1
    assert "3 of 3" in page
    assert "Flagged: <b>nobody</b>" in page
    samples = json.loads((run / "samples.json").read_text())
    assert samples["splits"].keys() == {"test", "clean"}
    assert samples["splits"]["test"]["samples"] == 360


def test_report_writes_the_same_page_again(run: Path) -> None:
    before = (run / "report.html").read_text()
    (run / "report.html").unlink()
    done = invoke("report", run, "--format", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"pages": [str(run / "report.html")]}
    assert (run / "report.html").read_text() == before
    assert invoke("report", run, "--dial", "rounds").exit_code == 2
    assert invoke("report", run, "--out", run / "x.html").exit_code == 2


def test_export_knows_the_policy_and_what_was_opened(run: Path, tmp_path: Path) -> None:
    done = invoke("export", run, "--out", tmp_path / "m.safetensors")
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "m.card.json").read_text())
    model = read_model(run / "model.safetensors")
    assert card["model"]["sha256"] == model_sha256(model)
    policy = parse_policy((run / "policy.json").read_bytes())
    assert card["policy"]["sha256"] == policy.digest().hex()
    assert card["privacy"] == {
        name: value
        for name, value in json.loads((run / "account.json").read_text()).items()
        if not name.endswith("_of")
    }
    assert card["training"]["rounds"] == card["training"]["totals_in_era"] == 3
    assert card["training"]["complete"] is True
    assert "train" not in card["data"]["splits"]


def test_evaluate_measures_the_served_model_again_and_on_other_samples(
    run: Path, tmp_path: Path
) -> None:
    done = invoke("evaluate", run, "--format", "json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["as_recorded"] is True
    assert found["model_sha256"] == model_sha256(read_model(run / "model.safetensors"))
    digits = load_digits()
    x, y = digits.data.reshape(-1, 1, 8, 8).astype(np.float32), digits.target.astype(np.int64)
    np.savez(tmp_path / "others.npz", x=x, y=y)
    done = invoke("evaluate", run, "--data", tmp_path / "others.npz", "--format", "json")
    assert done.exit_code == 0, done.output
    other = json.loads(done.stdout)
    assert "as_recorded" not in other
    assert other["accuracy"] == pytest.approx(found["accuracy"], abs=0.1)
    assert other["accuracy"] != found["accuracy"]
    (tmp_path / "bad.npz").write_bytes(b"no samples")
    bad = invoke("evaluate", run, "--data", tmp_path / "bad.npz")
    assert bad.exit_code == 4
    assert bad.stderr.startswith("auror: --data = ")


def test_the_commands_of_the_page(run: Path, tmp_path: Path) -> None:
    (state,) = (folder.name for folder in (run.parent / "state").iterdir())
    page = page_kit.lines("docs/export.md", {"DEPLOYMENT": state})
    simulated, served, own, measured = (shlex.split(line)[1:] for line in page)
    shutil.copytree(run, tmp_path / "runs" / "server")
    shutil.copytree(run.parent / "state", tmp_path / "state")
    small = "simulate --dataset digits --clients 6 --rounds 1 --runs defended --out runs/demo"
    np.savez(tmp_path / "others.npz", x=np.full((4, 1, 8, 8), [0, 16] * 4, np.float32), y=[0] * 4)
    for words in (small.split(), simulated, served, own, measured):
        done = kit.invoked("auror", *words, cwd=tmp_path)
        assert done.exit_code == 0, (words, done.output)
    assert {path.name for path in tmp_path.iterdir()} >= {
        "digits.safetensors", "digits.card.json", "served.pt", "own.safetensors",
    }  # fmt: skip


def test_every_client_has_the_servers_model_and_can_use_it(run: Path, tmp_path: Path) -> None:
    given = sorted((run.parent / "state").glob("*/client-*/"))
    assert [folder.name for folder in given] == [f"client-{i:03d}" for i in range(CLIENTS)]
    for folder in given:
        for name in ("model.safetensors", "policy.json"):
            assert (folder / name).read_bytes() == (run / name).read_bytes()
    done = invoke("export", given[3], "--out", tmp_path / "m.safetensors")
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "m.card.json").read_text())
    assert card["training"] == {"client": 3, "era": 0, "step": 3}
    assert (card["metrics"], card["verdict"], card["privacy"]) == (None, None, None)
    assert card["policy"]["version"] == 1
    assert "- step: 3" in (tmp_path / "m.card.md").read_text()
    measured = [
        json.loads(invoke("evaluate", folder, "--format", "json").stdout)
        for folder in (run, given[3])
    ]
    assert "as_recorded" not in measured[1]
    assert measured[1]["accuracy"] == measured[0]["accuracy"]
    done = invoke("report", given[3])
    assert done.exit_code == 2
    assert "is a client's: it saw no rounds to report" in done.output
