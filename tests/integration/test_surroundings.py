"""Odd surroundings: no home, no folder for temporary files, old consoles, few files, no install."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import kit
import pytest

from auror.child import module_command
from auror.deployment.settings import load
from auror.deployment.settings import to_toml as as_toml

ROOT = Path(__file__).resolve().parents[2]
HERE = os.pathsep.join(str(ROOT / part) for part in ("", "server", "client"))
EXPERIMENT = ("--dataset", "digits", "--clients", "6", "--malicious", "2", "--group-size", "2")
HOMELESS = ("unshare", "-U", "--map-user=12345")


def python(
    *words: str, before: tuple[str, ...] = (), cwd: Path, **environment: str | None
) -> subprocess.CompletedProcess[bytes]:
    """A program of this checkout; None takes a variable away."""
    plain = {**os.environ, "PYTHONPATH": HERE, "OMP_NUM_THREADS": "1"}
    changed = {k: v for k, v in {**plain, **environment}.items() if v is not None}
    return subprocess.run(
        [*before, sys.executable, "-m", *words],
        cwd=cwd, env=changed, capture_output=True, timeout=120, check=False,
    )  # fmt: skip


def _without_user() -> bool:
    """Whether this machine lets a test take its user's name away."""
    try:
        return subprocess.run([*HOMELESS, "true"], check=False, timeout=10).returncode == 0
    except OSError:
        return False


@pytest.mark.parametrize(
    "words",
    [
        ("auror.cli", "simulate", *EXPERIMENT, "--check"),
        ("auror.cli", "certs", "new", "--server", "localhost", "--dataset", "digits", "--check"),
    ],
)
def test_nobody_needs_a_home(tmp_path: Path, words: tuple[str, ...]) -> None:
    tmp_path.chmod(0o777)
    before = HOMELESS if _without_user() else ()
    done = python(*words, before=before, cwd=tmp_path, HOME=None)
    assert done.returncode == 0, done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_a_data_set_that_needs_a_home_says_what_to_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from auror.errors import DataError
    from auror.learn.datasets import load_dataset

    def homeless(_path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    monkeypatch.chdir(tmp_path)
    assert load_dataset("digits").classes == 10
    with pytest.raises(DataError, match=r"no home folder; name .* data_dir"):
        load_dataset("mnist")
    assert not list(tmp_path.iterdir())


def test_where_nothing_temporary_can_be_written_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import tempfile

    from auror.errors import UnavailableError
    from auror.programs.processes import scratch_folder

    def none() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    monkeypatch.setattr(tempfile, "_get_default_tempdir", none)
    monkeypatch.setattr(tempfile, "tempdir", None)
    with pytest.raises(UnavailableError, match="TMPDIR"), scratch_folder():
        pass


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("auror", "plan", "--clients", "30", "--colluders", "9"), 0),
        (("auror_server", "--check", "--credentials", "münchen"), 3),
        (("auror_client", "--check", "--credentials", "münchen"), 3),
        (("auror_client", "--set", "client.server=münchen:1"), 2),
    ],
)
def test_every_console_gets_its_lines(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: tuple[str, ...],
    code: int,
    encoding: str,
) -> None:
    program, *rest = words
    out, err = io.BytesIO(), io.BytesIO()  # as the interpreter opens them for PYTHONIOENCODING
    console = io.TextIOWrapper(out, encoding)
    errors = io.TextIOWrapper(err, encoding, errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", console)
    monkeypatch.setattr(sys, "stderr", errors)
    with kit.inside(tmp_path), pytest.raises(SystemExit) as ended:
        kit.MAINS[program](rest)
    monkeypatch.undo()
    console.flush()
    errors.flush()
    assert ended.value.code == code, err.getvalue()
    assert b"Traceback" not in err.getvalue()
    assert out.getvalue() or err.getvalue()
    if "--check" in words:
        assert b"FAIL" in out.getvalue()


@pytest.mark.parametrize("program", ["server", "client"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_settings_may_begin_with_a_byte_order_mark(tmp_path: Path, program: str, mark: str) -> None:
    from auror_client.config import ClientConfig
    from auror_server.config import ServerConfig

    model = ServerConfig if program == "server" else ClientConfig
    path = tmp_path / "settings.toml"
    path.write_text(mark + as_toml(model()) + "# Größe\n", encoding="utf-8")
    assert load(model, path, "AUROR_X", {}) == model()


def test_a_manifest_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    from auror.experiments.manifest import load_manifest

    path = tmp_path / "grid.toml"
    path.write_text('\ufeff[base]\ndataset = "digits"\n', encoding="utf-8")
    assert load_manifest(path).cells()


def test_too_few_files_are_said_before_anything_starts(tmp_path: Path) -> None:
    limited = ("bash", "-c", 'ulimit -n 256; exec "$@"', "bash")
    words = ("auror.cli", "loadtest", "--clients", "400", "--dim", "100", "--rounds", "1")
    done = python(*words, before=limited, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert b"1364 files have to be open at once" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_soft_limit_on_files_is_raised(tmp_path: Path) -> None:
    limited = ("bash", "-c", 'ulimit -Sn 256; exec "$@"', "bash")
    words = ("auror.cli", "loadtest", "--clients", "100", "--dim", "100", "--check")
    done = python(*words, before=limited, cwd=tmp_path)
    assert done.returncode == 0, done.stdout.decode()


def test_a_checkout_that_is_not_installed_says_its_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import importlib.metadata

    from auror.experiments.versions import versions
    from auror.version import __version__

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert versions() == {"auror": __version__}


def test_without_the_programs_a_demo_ends_before_it_computes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import importlib.util

    from auror.errors import UnavailableError
    from auror.programs.processes import check_installed

    check_installed()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UnavailableError, match="install Auror"):
        check_installed()


def test_files_that_lie_around_replace_nothing_that_is_installed(tmp_path: Path) -> None:
    """In the programs that a command starts, either: Python itself would look there first."""
    for name in ("attr", "random", "statistics"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('somebody else')\n")
    words = "--clients 6 --group-size 2 --dim 100 --rounds 1 --dropout 0"
    done = subprocess.run(
        module_command("auror.cli", "loadtest", *words.split()),  # as the script ``auror`` starts
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": HERE}, capture_output=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert b"every total exact: yes" in done.stdout
