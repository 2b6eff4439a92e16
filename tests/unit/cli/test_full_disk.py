"""A disk that takes no more ends with exit code 11, whatever could not be written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from auror.child import module_command
from auror.cli import main
from auror.errors import ConfigError, CredentialsError, DataError, UserError, exit_code_of
from auror.files import make_writable

SMALL = ("--server", "a", "--dataset", "digits", "--clients", "6", "--group-size", "2")
LIMITED = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024));"
LIMITED += "os.execv(sys.argv[1], sys.argv[1:])"


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_files_that_may_not_be_so_large(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    command = module_command("auror.cli", "certs", str(folder), *SMALL)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 11, done.stderr
    assert f"auror: cannot write {folder}/" in done.stderr
    assert "File too large" in done.stderr
    assert not folder.exists()


def test_a_deployment_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "certs"
    monkeypatch.setattr("auror.deployment.first_models.replace_file", full)
    done = CliRunner().invoke(main, ["certs", str(folder), *SMALL])
    assert done.exit_code == 11
    assert f"cannot write {folder}/server/models/era-0.safetensors: No space" in done.stderr


def test_a_folder_for_results_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auror.files.replace_file", full)
    with pytest.raises(ConfigError) as failed:
        make_writable(tmp_path, "out")
    assert exit_code_of(failed.value) == 11
    assert f"out = {tmp_path}" in str(failed.value)


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, 11), (errno.EDQUOT, 11), (errno.EFBIG, 11), (errno.EACCES, None)],
)
@pytest.mark.parametrize("kind", [ConfigError, CredentialsError, DataError])
def test_only_a_disk_that_is_full_is_the_machines_doing(
    kind: type[UserError], number: int, code: int | None
) -> None:
    def failed() -> None:
        try:
            raise OSError(number, os.strerror(number))
        except OSError as error:
            raise CredentialsError("cannot write") from error

    def outer() -> None:
        try:
            failed()
        except CredentialsError as error:
            raise kind("no deployment") from error

    with pytest.raises(UserError) as raised:
        outer()
    assert exit_code_of(raised.value) == (code or kind.exit_code)
