"""A key in the wrong place, or one that was damaged, is not shown by the line that says so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import canaries
import kit
import pytest


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployment")
    kit.enrol(folder, 3)
    return folder


def misplaced(who: Path) -> Iterator[tuple[Path, bytes]]:
    """(file, what it is to hold): every key in the place of every file, and damaged keys."""
    for name in (path.name for path in sorted(who.glob("*key*"))):
        key = (who / name).read_bytes()
        for path in sorted(who.iterdir()):
            if path.is_file() and path.name != name:
                yield path, key
        lines = key.splitlines(keepends=True)
        yield who / name, b"".join(lines[:-1])
        yield who / name, b"".join(lines[1:])
        yield who / name, key.replace(b"PRIVATE", b"PUBLIC")
        yield who / name, b'{"key": "' + key + b'"}'


@pytest.mark.parametrize(
    ("program", "who"),
    [("auror_client", Path("clients/000")), ("auror_server", Path("server"))],
)
def test_no_error_text_shows_a_key(
    program: str, who: Path, deployment: Path, tmp_path: Path
) -> None:
    found = canaries.Canaries(canaries.deployment_keys(deployment / "certs"))
    assert {"TLS key", "identity", "operator's key"} == set(found.counts())
    failed = 0
    for number, (path, raw) in enumerate(misplaced(deployment / "certs" / who)):
        here = tmp_path / str(number)
        shutil.copytree(deployment / "certs" / who, here / "mine")
        (here / "mine" / path.name).write_bytes(raw)
        words = ["--credentials", "mine", "--check"]
        if program == "auror_client":
            words += ["--dataset", "synthetic", "--state", "state", "--server", "127.0.0.1:1"]
        else:
            words += ["--run-dir", "run", "--listen", "127.0.0.1:0"]
        code, said = kit.invoke(program, *words, cwd=here)
        failed += code != 0
        assert "Traceback" not in said
        assert not found.in_bytes(said.encode()), said
    assert failed >= 7


@pytest.mark.parametrize("program", ["auror_client", "auror_server"])
def test_a_key_given_as_the_configuration_is_not_shown(program: str, deployment: Path) -> None:
    found = canaries.Canaries(canaries.deployment_keys(deployment / "certs"))
    for path in sorted((deployment / "certs").rglob("*.key")):
        code, said = kit.invoke(program, "--config", path, cwd=deployment)
        assert code == 2
        assert not found.in_bytes(said.encode()), said
