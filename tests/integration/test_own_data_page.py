"""Every command of docs/own-data.md does what the page says, on files as it describes them."""

from __future__ import annotations

import shlex
from pathlib import Path

import kit
import numpy as np
import page_kit
import pytest

COMMANDS = [shlex.split(line) for line in page_kit.lines("docs/own-data.md")]
MODULES = {"auror": "auror", "auror-server": "auror_server", "auror-client": "auror_client"}
SAYS = {
    "simulate": "defended",
    "certs": "6 clients in groups of 2",
    "auror-server": "6 clients, g = 2",
    "auror-client": "120 samples",
}


def table(path: Path, rows: int) -> None:
    rng = np.random.default_rng(rows)
    lines = ["length;width;kind"]
    for row in range(rows):
        length, width = rng.normal((50 + 20 * (row % 3), 8), (10, 2))
        lines.append(f"{length:.2f};{width:.2f};{('ash', 'elm', 'oak')[row % 3]}")
    path.write_text("\n".join(lines))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page")
    table(made / "operator.csv", 300)
    table(made / "site.csv", 120)
    return made


def test_the_page_has_the_commands_that_are_run_here() -> None:
    assert [words[0] for words in COMMANDS] == ["auror", "auror", "auror-server", "auror-client"]


def test_the_commands_of_the_page_work_one_after_the_other(folder: Path) -> None:
    for program, *rest in COMMANDS:
        code, said = kit.invoke(MODULES[program], *rest, cwd=folder)
        assert code == 0, said
        assert SAYS[rest[0] if program == "auror" else program] in said
