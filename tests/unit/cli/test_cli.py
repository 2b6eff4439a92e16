from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from helpers_result import DATA, TASK, result

from auror.cli import main
from auror.deployment.policy_file import parse_policy
from auror.experiments.runfolder import write_run
from auror.round.policy import Policy

SMALL = [
    "simulate",
    *("--dataset", "digits", "--clients", "6", "--malicious", "2", "--group-size", "2"),
    *("--rounds", "2", "--colluders", "1", "--device", "cpu"),
]


def auror(*words: str) -> Result:
    return CliRunner().invoke(main, [*words])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], Path, str]:
    folder = tmp_path_factory.mktemp("run") / "run"
    done = auror(*SMALL, "--seed", "4", "--format", "json", "--out", str(folder), "--verbose")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), folder, done.stderr


def test_stdout_is_one_json_object_and_stderr_has_the_progress(
    finished: tuple[dict[str, object], Path, str],
) -> None:
    summary, folder, progress = finished
    assert summary["clients"] == 6
    assert summary["run"] == str(folder)
    for run in ("clean", "undefended", "oracle", "defended"):
        assert set(summary[run]) == {"accuracy", "source_recall", "attack_success"}  # type: ignore[call-overload]
        assert run in progress
    assert "time: prepare" in progress
    few = "6 clients: below 15 error_rate is not claimed"
    assert [line.partition(",")[0] for line in summary["warnings"]] == [few, "malicious = 2"]  # type: ignore[attr-defined]
    assert progress.index(few) < progress.index("accuracy")  # before the first round is over
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert (folder / "report.html").stat().st_size > 10_000


def test_the_same_seed_gives_the_same_model_and_another_seed_another(
    finished: tuple[dict[str, object], Path, str],
) -> None:
    summary, *_ = finished
    same, other = (
        json.loads(auror(*SMALL, "--seed", s, "--runs", "defended", "--format", "json").stdout)
        for s in ("4", "5")
    )
    assert same["model_sha256"] == summary["model_sha256"]
    assert other["model_sha256"] != summary["model_sha256"]
    assert same["clean"] is None


def test_plain_aggregation_gives_the_same_model_bit_for_bit(
    finished: tuple[dict[str, object], Path, str],
) -> None:
    summary, *_ = finished
    words = ["--seed", "4", "--runs", "defended", "--aggregation", "plain", "--format", "json"]
    plain = json.loads(auror(*SMALL, *words).stdout)
    for key in ("model_sha256", "flagged", "scores", "privacy"):
        assert plain[key] == summary[key]


def test_evaluate_measures_the_saved_model_again(
    finished: tuple[dict[str, object], Path, str],
) -> None:
    summary, folder, _ = finished
    found = json.loads(auror("evaluate", str(folder), "--format", "json").stdout)
    assert found["as_recorded"] is True
    assert found["model_sha256"] == summary["model_sha256"]
    assert "accuracy" in auror("evaluate", str(folder)).stdout


def test_without_clean_samples_the_statistics_are_others_and_the_clients_the_same(
    finished: tuple[dict[str, object], Path, str], tmp_path: Path
) -> None:
    summary, _, _ = finished
    words = ["--seed", "4", "--clean-per-class", "0", "--aggregation", "plain"]
    done = auror(*SMALL, *words, "--format", "json", "--out", str(tmp_path / "run"))
    assert done.exit_code == 0, done.output
    bare = json.loads(done.stdout)
    assert bare["undefended"] == summary["undefended"]
    of_bare, of_all = (found["privacy"]["statistic_recovery_of"] for found in (bare, summary))
    assert of_bare != of_all
    found = json.loads(auror("evaluate", str(tmp_path / "run"), "--format", "json").stdout)
    assert found["as_recorded"] is True


def test_what_was_not_measured_is_a_dash(tmp_path: Path) -> None:
    folder = str(tmp_path / "run")
    done = auror(*SMALL, "--runs", "defended", "--attack", "flip-all", "--out", folder)
    assert done.exit_code == 0, done.output
    lines = dict(line.split() for line in auror("evaluate", folder).stdout.splitlines())
    assert (lines["source_recall"], lines["attack_success"]) == ("–", "–")


def test_text_output_is_a_table() -> None:
    done = auror(*SMALL, "--runs", "clean,defended")
    assert done.exit_code == 0
    assert "attack success" in done.stdout
    assert "flagged:" in done.stdout
    assert "oracle" not in done.stdout


def test_the_published_mode_runs_at_single_clients() -> None:
    words = ["simulate", "--dataset", "digits", "--clients", "6", "--malicious", "2"]
    more = ["--group-size", "1", "--detector", "published", "--rounds", "2", "--colluders", "1"]
    done = auror(*words, *more, "--runs", "defended", "--format", "json", "--device", "cpu")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["privacy"]["statistic_recovery"] == pytest.approx(1.0, abs=1e-3)
    assert summary["privacy"]["group_size"] == 1


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["simulate", "--dataset", "mnist5"], 4, "did you mean 'mnist5k'"),
        (["simulate", "--group-size", "31"], 2, "larger than the cohort of 30"),
        (["simulate", "--attack", "flop:1:2"], 2, "flip:4:9"),
        (["simulate", "--attack", "flip:4:11"], 2, "class"),
        (["simulate", "--partition", "dirichlet:x"], 2, "dirichlet:1.0"),
        (
            ["simulate", "--partition", "shards:200"],
            4,
            "lower K of shards:K or the number of clients",
        ),
        (
            ["simulate", "--clean-per-class", "11"],
            2,
            "--clean-per-class 11: choose 0 … 10",
        ),
        (["simulate", "--runs", "cleen"], 2, "choose of clean"),
        (["simulate", "--clients", "5", "--malicious", "7"], 2, "choose 0 … 4"),
        (["simulate", "--detector", "published"], 2, "--group-size 1"),
        (["simulate", "--device", "tpu"], 2, "cuda"),
        (["simulate", "--learning-rate", "-1"], 2, "--learning-rate -1.0: choose above 0"),
        (["evaluate", "nowhere"], 4, "run folder"),
        (["replay", "nowhere"], 4, "run folder"),
        (
            ["certs", "x", "--clients", "1", "--server", "localhost"],
            2,
            "--clients 1: choose 2 … 10,000",
        ),
    ],
)
def test_bad_input_is_one_line_with_the_fix_and_an_exit_code(
    words: list[str], code: int, hint: str
) -> None:
    done = auror(*words)
    assert done.exit_code == code
    lines = [line for line in done.stderr.splitlines() if line.startswith("auror: ")]
    assert len(lines) == 1
    assert hint in lines[0]
    assert "Traceback" not in done.output
    assert done.stdout == ""


def test_a_simulation_cannot_be_replayed_and_says_why(tmp_path: Path) -> None:
    write_run(tmp_path, result(), TASK, DATA)
    done = auror("replay", str(tmp_path))
    assert done.exit_code == 4
    assert "nothing to replay" in done.stderr


def test_certificates_are_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    words = ["certs", str(folder), "--clients", "3", "--server", "localhost"]
    assert auror(*words).exit_code == 0
    assert (folder / "clients" / "002" / "key.pem").stat().st_mode & 0o777 == 0o600
    assert released(folder) is True
    again = auror(*words)
    assert again.exit_code == 3
    assert "not empty" in again.stderr


def test_the_final_model_is_kept_back_by_a_flag(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    words = ["certs", str(folder), "--clients", "3", "--server", "localhost"]
    assert auror(*words, "--no-release-model", "--dataset", "digits").exit_code == 0
    assert released(folder) is False
    for flags, then in (([], False), (["--release-model"], True), (["--days", "9"], True)):
        assert auror("policy", "next", str(folder), *flags).exit_code == 0
        assert released(folder) is then


def test_how_long_the_others_wait_is_signed(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    words = ["certs", str(folder), "--clients", "3", "--server", "localhost", "--patience", "30"]
    assert auror(*words, "--dataset", "digits").exit_code == 0
    params = policy_of_client(folder).params
    assert (params.patience, params.training_patience) == (30, 120)
    assert auror("policy", "next", str(folder), "--training-patience", "300").exit_code == 0
    later = policy_of_client(folder).params
    assert later == replace(params, training_patience=300)
    refused = auror("policy", "next", str(folder), "--patience", "4000")
    assert refused.exit_code == 2
    assert "--patience 4000: choose 1" in refused.stderr


def policy_of_client(folder: Path) -> Policy:
    return parse_policy((folder / "clients" / "001" / "policy.json").read_bytes())


def released(folder: Path) -> bool:
    return policy_of_client(folder).release_model


def test_help_names_every_command_and_the_exit_codes() -> None:
    shown = auror("--help").stdout
    for name in ("demo", "simulate", "evaluate", "replay", "certs", "loadtest"):
        assert name in shown
    assert "Exit codes:" in auror("simulate", "--help").stdout


def test_ones_own_code_that_fails_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("breaking.py").write_text("def shift(x, y, rng):\n    return x[:, 5], y\n")
    done = auror(*SMALL, "--attack", "breaking:shift")
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("auror:")]
    assert done.exit_code == 2
    assert "'breaking:shift': poison failed: breaking.py, line 2: IndexError: index 5" in line


@pytest.mark.parametrize(("bound", "warned"), [("0.01", True), ("0.5", False)])
def test_a_simulation_says_how_much_was_clipped(bound: str, warned: bool) -> None:
    words = ("--runs", "defended", "--aggregation", "plain", "--quantisation-range", bound)
    said = auror(*SMALL, *words).stdout
    assert ("warning:   clipped: up to " in said) == warned
    assert ("raise --quantisation-range, lower --learning-rate" in said) == warned
    lines = json.loads(auror(*SMALL, *words, "--format", "json").stdout)["warnings"]
    assert any("raise quantisation_range, lower learning_rate" in line for line in lines) == warned


def test_a_full_disk_is_one_line_and_a_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "rows.json")

    monkeypatch.setattr("auror.programs.loadtest.LoadTest.__post_init__", full)
    done = auror("loadtest")
    assert done.exit_code == 11
    (line,) = done.stderr.splitlines()
    assert line == "auror: rows.json: No space left on device; mend that and start again"


def test_codes_stand_in_their_order() -> None:
    for command, codes in (
        (("loadtest",), [0, 1, 2, 3, 4, 5, 11, 130]),
        (("audit", "verify"), [0, 2, 3, 4, 5, 11, 12, 130]),
    ):
        table = auror(*command, "--help").output.partition("Exit codes:")[2]
        rows = [line.split() for line in table.splitlines()]
        assert [int(row[0]) for row in rows if row and row[0].isdigit()] == codes
