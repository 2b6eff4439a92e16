"""A sample file broken in any way, at each program: one line with file and fix, exit code 4."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from auror_client import cli as client_cli
from auror_server import cli as server_cli
from click.testing import CliRunner

from auror.cli import main
from auror.deployment import certs
from auror.programs.enrol import Enrolment, terms_of

X = np.random.default_rng(1).integers(0, 256, (80, 1, 8, 8)).astype(np.float32)
Y = np.arange(80) % 4
GOOD = io.BytesIO()
np.savez(GOOD, x=X, y=Y)
WHOLE = GOOD.getvalue()
HEAD = "a,b,kind\n"
TABLE = HEAD + "".join(f"{i % 7},{i % 5}.5,{'uvw'[i % 3]}\n" for i in range(90))


def npz(x: object = X, y: object = Y) -> bytes:
    file = io.BytesIO()
    np.savez(file, x=x, y=y)  # type: ignore[arg-type]
    return file.getvalue()


def with_nan() -> np.ndarray:
    x = X.copy()
    x[3, 0, 5] = np.nan
    return x


BROKEN: dict[str, Callable[[], bytes]] = {
    "cut.npz": lambda: WHOLE[: len(WHOLE) // 2],
    "flipped.npz": lambda: WHOLE[:900] + bytes([WHOLE[900] ^ 255]) + WHOLE[901:],
    "empty.npz": lambda: b"",
    "words.npz": lambda: b"x,y\n1,2\n",
    "objects.npz": lambda: npz(X.astype(object)),
    "fractions.npz": lambda: npz(y=Y + 0.7),
    "negative.npz": lambda: npz(y=Y - 1),
    "nan.npz": lambda: npz(with_nan()),
    "complex.npz": lambda: npz(X + 1j),
    "dates.npz": lambda: npz(Y.astype("datetime64[D]")),
    "short.npz": lambda: npz(y=Y[:-1]),
    "ragged.csv": (TABLE + "1,2\n").encode,
    "text.csv": (TABLE + "one,2,u\n").encode,
    "nan.csv": (TABLE + "nan,2,u\n").encode,
    "headless.csv": lambda: TABLE.removeprefix(HEAD).encode(),
    "bytes.csv": lambda: b"\xff\xfe\x00\x01" * 9,
    "empty.csv": lambda: b"",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Deployments for images and for tables, and the broken files."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "good.npz").write_bytes(WHOLE)
    (folder / "good.csv").write_text(TABLE, encoding="utf-8")
    for kind in ("npz", "csv"):
        terms = terms_of(Enrolment(clients=3, group_size=2, data=folder / f"good.{kind}"))
        certs.create_deployment(folder / f"certs-{kind}", 3, ["127.0.0.1"], terms)
    for name, made in BROKEN.items():
        (folder / name).write_bytes(made())
    return folder


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("program", ["auror", "auror-server", "auror-client"])
def test_a_broken_file_is_one_line(
    program: str, name: str, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(house)
    home = f"certs-{name.rpartition('.')[2]}"
    command, words, setting = {
        "auror": (main, ["simulate", "--clients", "4", "--group-size", "2"], "--data"),
        "auror-server": (server_cli.main, ["--credentials", f"{home}/server"], "learning.data"),
        "auror-client": (
            client_cli.main,
            ["--credentials", f"{home}/clients/000", "--state", home + "-state"],
            "data.path",
        ),
    }[program]
    done = CliRunner().invoke(command, [*words, "--data", name])
    said = [line for line in done.stderr.splitlines() if line.startswith(f"{program}: ")]
    assert done.exit_code == 4, done.output
    assert len(said) == 1
    assert said[0].startswith(f"{program}: {setting} = {name}: ")
    assert "; " in said[0]
    assert "pickle" not in said[0]
    assert "Traceback" not in done.output
