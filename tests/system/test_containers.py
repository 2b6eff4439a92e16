"""The image's recipe, the compose file and the units are what their own tools accept."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import engine
import jsonschema
import pytest
import sandbox
import yaml

DEPLOY = sandbox.ROOT / "deploy"
SCHEMA = Path(__file__).with_name("compose-spec.json")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MOST_EXPOSED = 1.5
"""Of a unit, by `systemd-analyze security`: 0 is closed, 10 open."""


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.prefix) / "bin" / "hadolint"
    done = subprocess.run([hadolint, DEPLOY / "Containerfile"], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", ["compose.yaml", "compose.cuda.yaml"])
def test_the_compose_file_keeps_the_schema(name: str) -> None:
    schema = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    whole = yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))
    schema.validate(whole)
    with pytest.raises(jsonschema.ValidationError):
        schema.validate({**whole, "services": {"server": {"imagee": "auror"}}})


def test_every_service_is_closed_and_writes_to_a_volume_of_its_own() -> None:
    compose = engine.read(DEPLOY / "compose.yaml", {})
    volumes = []
    for name, service in compose["services"].items():
        uid, _, gid = service["user"].partition(":")
        assert int(uid) > 0, name
        assert int(gid) > 0, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "unless-stopped", name
        binds = [text for text in service["volumes"] if text.startswith((".", "/"))]
        assert all(text.endswith(":ro") for text in binds), name
        volumes += [text for text in service["volumes"] if text not in binds]
    assert len(volumes) == len(set(volumes)) == len(compose["volumes"]) == 7
    members = [name for name, s in compose["services"].items() if "watching" in s["networks"]]
    assert members == ["server", "prometheus"]


def test_the_image_has_no_user_that_the_compose_file_does_not_name() -> None:
    recipe = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    compose = engine.read(DEPLOY / "compose.yaml", {})
    assert f"\nUSER {compose['services']['server']['user']}\n" in recipe
    assert f"install -d -m 1777 {engine.IMAGE_FOLDER}\n" in recipe


def test_the_image_is_made_of_the_programs_only() -> None:
    """What the recipe copies is what `.dockerignore` lets through: no keys, no runs."""
    recipe = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    ignore = (sandbox.ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = {
        word
        for line in recipe.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    assert ignore[1] == "*"
    assert copied == {line[1:] for line in ignore if line.startswith("!")}
    assert all((sandbox.ROOT / name).exists() for name in copied)


def test_prometheus_reads_its_settings() -> None:
    config = DEPLOY / "prometheus" / "prometheus.yml"
    subprocess.run(["promtool", "check", "config", config], check=True, capture_output=True)
    compose = engine.read(DEPLOY / "compose.yaml", {})
    address = compose["services"]["server"]["networks"]["watching"]["ipv4_address"]
    (job,) = (
        job for job in yaml.safe_load(config.read_text())["scrape_configs"]
        if job["job_name"] == "auror"
    )  # fmt: skip
    assert job["static_configs"][0]["targets"][0].partition(":")[0] == address


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A host's root with systemd's own units, ours, and programs where ours look for them."""
    root = tmp_path_factory.mktemp("host")
    shutil.copytree("/usr/lib/systemd/system", root / "usr/lib/systemd/system", symlinks=True)
    ours = root / "etc" / "systemd" / "system"
    ours.mkdir(parents=True)
    for unit in UNITS:
        shutil.copy(unit, ours)
    programs = root / "opt" / "auror" / "bin"
    programs.mkdir(parents=True)
    for name in ("auror", "auror-server", "auror-client"):
        (programs / name).touch(mode=0o755)
    return root


def analyse(*words: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *map(str, words)], capture_output=True, text=True,
                          check=False)  # fmt: skip


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_unit_is_one_that_systemd_runs(host: Path, unit: Path) -> None:
    done = analyse("verify", "--man=no", f"--root={host}", unit.name)
    assert (done.returncode, done.stderr) == (0, "")
    wrong = host / "etc" / "systemd" / "system" / f"wrong-{unit.name}"
    wrong.write_text(unit.read_text().replace("Restart=always", "Restart=aways"))
    assert "aways" in analyse("verify", "--man=no", f"--root={host}", wrong.name).stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_unit_is_closed(host: Path, unit: Path) -> None:
    words = ("security", "--offline=yes", f"--threshold={int(10 * MOST_EXPOSED)}")
    done = analyse(*words, f"--root={host}", unit.name)
    assert done.returncode == 0, done.stdout
    assert "Restart=always" in unit.read_text()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_units_command_is_one_of_the_program(unit: Path) -> None:
    (line,) = (x for x in unit.read_text().splitlines() if x.startswith("ExecStart="))
    program, *words = line.removeprefix("ExecStart=").split()
    name = Path(program).name
    done = subprocess.run([Path(sys.prefix) / "bin" / name, *words, "--print-config"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_program_without_home_name_and_writable_root_says_nothing_of_it() -> None:
    """What the compose file's services have beside their volumes is `/tmp`."""
    words = "auror simulate --dataset digits --clients 6 --malicious 2 --group-size 2 --rounds 1"
    argv = sandbox.command(words.split(), user="10001:10001", folder="/tmp")
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Matplotlib" not in done.stderr
    assert "Traceback" not in done.stderr
