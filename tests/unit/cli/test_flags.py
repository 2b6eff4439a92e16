"""Every flag of every command: what it says is the model's, and it has an effect or is refused."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from auror_client import cli as client_cli
from auror_client.config import ClientConfig
from auror_server import cli as server_cli
from auror_server.config import ServerConfig
from click.testing import CliRunner, Result

from auror.cli import COMMANDS, main
from auror.deployment.settings import to_toml
from auror.experiments.options import DEFAULTS, Options
from auror.fields import fields_of
from auror.params import Budget, OwnRules, PlanCaps, RoundParams
from auror.programs.enrol import Enrolment
from auror.programs.loadtest import LoadTest
from auror.tools.plan import Demand, Published
from auror.tools.walkthrough import Walk
from auror.training.config import CampaignConfig

MODELS: dict[str, tuple[type, ...]] = {
    "simulate": (Options,),
    "demo": (Options,),
    "certs": (Enrolment,),
    "loadtest": (LoadTest,),
    "plan": (Demand, Enrolment, RoundParams, Published),
    "protocol": (Walk,),
}
"""The commands whose flags are made from parameter classes; earlier ones come first."""


def auror(*words: str) -> Result:
    return CliRunner().invoke(main, [*words])


def command_of(name: str) -> click.Command:
    found = main.get_command(click.Context(main), name)  # type: ignore[attr-defined]
    assert isinstance(found, click.Command)
    return found


def everything(command: click.Command, *path: str) -> Iterator[tuple[str, click.Command]]:
    """All commands, those of groups too, by the words that call them."""
    yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from everything(found, *path, name)


def test_lists_of_commands_hold_whole_sentences() -> None:
    groups = [path for path, command in everything(main) if isinstance(command, click.Group)]
    assert groups == ["", "audit", "policy", "roster"]
    for path in groups:
        listed = auror(*path.split(), "--help").stdout.partition("Commands:")[2]
        listed = " ".join(listed.partition("Exit codes:")[0].split())
        assert not re.search(r"(?<!RUN)\.\.\.|e\.g\.", listed), path
        assert listed.endswith(".")


def derived() -> Iterator[tuple[str, str, type]]:
    for name, models in MODELS.items():
        for option in command_of(name).params:
            for model in models:
                if option.name in fields_of(model) and (option.name, model) != (
                    "colluders",
                    Demand,
                ):
                    yield name, option.name, model
                    break


@pytest.mark.parametrize(("name", "field", "model"), [*derived()])
def test_help_says_what_the_model_says(name: str, field: str, model: type) -> None:
    info = fields_of(model)[field]
    option = next(one for one in command_of(name).params if one.name == field)
    assert isinstance(option, click.Option)
    assert option.default is None  # a given value can be told from the default
    shown = " ".join((option.help or "").split())
    assert info.meaning, f"{model.__name__}.{field} has no docstring"
    assert shown.startswith(info.meaning.replace("``", "")[:30])
    assert "default: ]" not in shown
    if info.default not in (None, "", dataclasses.MISSING):
        switch = ("" if info.default else "no-") + field.replace("_", "-")
        assert f"default: {switch if info.kind is bool else info.default}" in shown
    if info.range is not None:
        assert str(info.range) in shown


@pytest.mark.parametrize(
    "model",
    [
        Options,
        Enrolment,
        LoadTest,
        Walk,
        Demand,
        Published,
        RoundParams,
        PlanCaps,
        Budget,
        OwnRules,
    ],
)
def test_every_field_of_a_parameter_class_has_a_meaning(model: type) -> None:
    for name, info in fields_of(model).items():
        assert info.meaning or name == "params", name


@pytest.mark.parametrize("model", [Options, Enrolment, LoadTest, Walk, RoundParams])
def test_the_same_name_has_the_same_default_and_range_as_of_a_round(model: type) -> None:
    of_round = fields_of(RoundParams)
    for name in fields_of(model).keys() & of_round.keys() - {"colluders"}:
        if model is Walk and name == "group_size":
            continue  # ten clients on a screen
        info = fields_of(model)[name]
        assert info.default in (of_round[name].default, None)
        assert info.range == of_round[name].range


def test_a_flag_restarts_by_default_wherever_it_is_said() -> None:
    default = fields_of(CampaignConfig)["after_flag"].default
    assert Options.after_flag == default.value
    assert ServerConfig().session.after_flag is default


@pytest.mark.parametrize("config", [ServerConfig(), ClientConfig()])
def test_a_setting_says_in_toml_what_its_docstring_says(config: ServerConfig) -> None:
    text = to_toml(config)
    for section in type(config).model_fields:
        for key, info in type(getattr(config, section)).model_fields.items():
            assert re.search(rf"^{key} = ", text, re.MULTILINE)
            if info.description:
                assert f"# {info.description.splitlines()[0]}" in text


def test_dials_of_sweeps_are_the_flags_of_simulate() -> None:
    flags = {option.name for option in command_of("simulate").params}
    assert set(DEFAULTS) <= flags


# What each flag needs to have an effect; ALWAYS for those that have it in every start -------------

ALWAYS = None
SMALL = ("--dataset", "digits", "--clients", "6", "--malicious", "2", "--group-size", "2")
PLAIN = ("--dataset", "digits", "--clients", "6", "--runs", "clean", "--device", "cpu")
ONE_RUN = "without the defended run"
IDLE: dict[str, dict[str, tuple[tuple[str, ...], str] | None]] = {
    "simulate": {
        "data_dir": ((*SMALL, "--data-dir", "x"), "which comes with a package"),
        "malicious": ((*PLAIN, "--malicious", "2"), "without an attacked run"),
        "attack": ((*SMALL[:4], "--malicious", "0", "--attack", "sign"), "with --malicious 0"),
        "alpha": ((*SMALL, "--alpha", "1"), "with --detector decoded"),
        "tau": ((*SMALL, "--tau", "0.4"), "with --detector decoded"),
        **{
            name: ((*PLAIN, "--" + name.replace("_", "-"), value), ONE_RUN)
            for name, value in {
                "clean_per_class": "5", "group_size": "2", "colluders": "1",
                "quantisation_bits": "12", "quantisation_range": "0.4",
                "audit_probability": "0.2", "after_flag": "continue", "aggregation": "plain",
                "rule": "mean", "detector": "decoded", "dropout_before": "0.1",
                "dropout_after": "0.1",
            }.items()
        },
    },
    "demo": {
        "data_dir": ((*SMALL, "--data-dir", "x"), "which comes with a package"),
        "fast": ((*SMALL, "--fast", "--rounds", "5"), "contradict each other"),
        "attack": ((*SMALL[:4], "--malicious", "0", "--attack", "sign"), "with --malicious 0"),
    },
    "certs": {
        "data_dir": (("x", "--server", "a", "--data-dir", "x"), "which comes with a package"),
    },
    "loadtest": {"workers": (("--clients", "4", "--workers", "5"), "choose 1 … 4")},
    "plan": {
        **{name: (("--clients", "30", f"--{name}", "9"), "without --published")
           for name in ("sigma", "eta")},
        **{name: (("--clients", "30", "--published", "curious", "--" + name.replace("_", "-"),
                   value), "with --published")
           for name, value in {"dim": "9", "statistics": "9", "rounds": "9",
                               "quantisation_bits": "9", "audit_probability": "0.2"}.items()},
    },
    "policy": {},
    "protocol": {},
    "sweep": {},
    "report": {},
    "evaluate": {},
    "replay": {},
    "defend-bench": {
        "seeds": (("--reduced", "--seeds", "3"), "with --reduced"),
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "flag"), [(c, flag) for c, rules in IDLE.items() for flag in rules]
)
def test_an_option_without_effect_is_an_error(command: str, flag: str) -> None:
    rule = IDLE[command][flag]
    assert rule is not None
    words, says = rule
    done = auror(command, *words)
    assert done.exit_code == 2, done.output
    line = " ".join(done.stderr.split())
    assert line.startswith("auror: ")
    assert "--" + flag.replace("_", "-") in line
    assert says in line


def test_every_command_is_settled() -> None:
    assert set(IDLE) <= set(COMMANDS)
    for command, rules in IDLE.items():
        names = {option.name for option in command_of(command).params}
        assert set(rules) <= names, command


def test_an_option_that_is_the_default_is_given_all_the_same() -> None:
    done = auror("simulate", *SMALL, "--tau", str(Options.tau))
    assert done.exit_code == 2
    assert "--tau" in done.stderr


@pytest.mark.parametrize(
    ("program", "words", "says"),
    [
        (client_cli.main, ["--format", "json"], "--format has no effect without --account"),
        (client_cli.main, ["--check", "--account"], "exclude each other"),
        (client_cli.main, ["--check", "--print-config"], "exclude each other"),
        (server_cli.main, ["--check", "--print-config"], "exclude each other"),
        (server_cli.main, ["--rounds", "3", "--set", "session.rounds=4"], "set twice"),
        (client_cli.main, ["--set", "client.quiet=true", "--set", "client.quiet=false"], "twice"),
        (server_cli.main, ["--bogus"], "No such option"),
        (server_cli.main, ["--set", "zzz.qqq=1"], "--print-config lists all keys"),
        (client_cli.main, ["extra"], "unexpected extra argument"),
        (main, ["simulate", "--clients", "x"], "not a valid integer"),
        (main, ["simulat"], "No such command"),
        (main, ["certs"], "Missing argument"),
    ],
)
def test_words_that_cannot_be_used_are_one_line(
    program: click.Command, words: list[str], says: str
) -> None:
    done = CliRunner().invoke(program, words)
    assert done.exit_code == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize("program", [main, server_cli.main, client_cli.main])
def test_every_program_says_its_version(program: click.Command) -> None:
    done = CliRunner().invoke(program, ["--version"])
    assert done.exit_code == 0
    assert re.fullmatch(r"auror(-server|-client)? \d+\.\d+\.\d+\n", done.stdout)


# Where results go ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["simulate", *SMALL, "--out", "RUN"], 2),
        (["demo", *SMALL, "--out", "RUN"], 2),
        (["sweep", "grid.toml", "--out", "RUN"], 2),
        (["certs", "RUN", "--clients", "3", "--server", "localhost"], 3),
    ],
)
@pytest.mark.parametrize("kind", ["full", "file", "below a file"])
def test_a_run_is_never_overwritten_and_that_is_found_out_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("grid.toml").write_text('[base]\ndataset = "digits"\nclients = 6\nmalicious = 1\n')
    run = Path("run")
    if kind == "full":
        run.mkdir()
        (run / "summary.json").write_text("mine")
    else:
        run.write_text("mine")
    where = run / "below" if kind == "below a file" else run
    before = sorted(Path().rglob("*"))
    done = auror(*(str(where) if word == "RUN" else word for word in words))
    assert done.exit_code == code, done.output
    assert len(done.stderr.splitlines()) == 1
    assert "another" in done.stderr or "new folder" in done.stderr
    assert sorted(Path().rglob("*")) == before
    assert "mine" in ((run / "summary.json") if kind == "full" else run).read_text()


@pytest.mark.parametrize(
    "host", ["host:7443", "[::1]", "https://host", "münchen.example", "", "a b", "1.2.3.400"]
)
def test_a_host_that_no_certificate_can_name_leaves_nothing_behind(
    tmp_path: Path, host: str
) -> None:
    done = auror("certs", str(tmp_path / "new"), "--clients", "3", "--server", host)
    assert done.exit_code == 2
    assert f'--server "{host}"' in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()


# --check ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["simulate", *SMALL], 0, "✓ data, task and device: digits"),
        (["simulate", "--dataset", "nope"], 4, "✗ data, task and device: unknown data set"),
        (["simulate", "--group-size", "0"], 2, "✗ settings: --group-size 0: choose 1 or more"),
        (["simulate", *SMALL, "--out", "/dev/null/x"], 2, "✗ run folder: --out /dev/null/x"),
        (["demo", *SMALL], 0, "✓ server and client programs"),
        (["demo", *SMALL, "--device", "tpu"], 2, "✗ data, task and device"),
        (["loadtest", "--clients", "6"], 0, "✓ folder for temporary files"),
        (["loadtest", "--clients", "1"], 2, "✗ settings: --clients 1: choose 2 … 10,000"),
        (["certs", "NEW", "--server", "localhost", "--dataset", "digits"], 0, "✓ data, task"),
        (["certs", "NEW", "--server", "[::1]", "--dataset", "digits"], 2, "✗ hosts and folder"),
        (["sweep", "none.toml", "--out", "NEW"], 2, "✗ manifest"),
    ],
)
def test_check_loads_all_and_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = auror(*words, "--check")
    assert done.exit_code == code, done.output
    assert says in done.stdout
    assert ("✗" in done.stdout) == (code != 0)
    assert not list(tmp_path.iterdir())
