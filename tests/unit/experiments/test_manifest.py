"""A sweep's manifest is refused in one line, and a check looks at every cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from auror.cli import main
from auror.experiments.manifest import MAX_CELLS, load_manifest


def sweep(folder: Path, text: str, *words: str) -> Result:
    path = folder / "manifest.toml"
    path.write_text(text)
    return CliRunner().invoke(main, ["sweep", str(path), "--out", str(folder / "out"), *words])


@pytest.mark.parametrize("words", [(), ("--check",)])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("base = 3\n", "base must be a table: write [base]"),
        ('grid = "x"\n', "grid must be a table: write [grid]"),
        ('[grid]\nseed = "1-2-3"\n', "grid.seed must be a list"),
        ('[grid]\nseed = "1-99999999999"\n', "99999999999 cells, at most 100000"),
        (f'[grid]\nseed = "1-{"9" * 5000}"\n', "grid.seed must be a list"),
        ('[grid]\nseed = "1-1000"\nrounds = "1-1000"\n', "1000000 cells, at most 100000"),
    ],
)
def test_what_is_no_manifest_is_one_line(
    tmp_path: Path, text: str, why: str, words: tuple[str, ...]
) -> None:
    done = sweep(tmp_path, text, *words)
    assert done.exit_code == 2
    (line,) = [said for said in done.output.splitlines() if str(tmp_path / "manifest") in said]
    assert why in line
    assert not (tmp_path / "out").exists()


def test_a_range_may_be_as_long_as_a_sweep(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(f'[grid]\nseed = "0-{MAX_CELLS - 1}"\n')
    assert list(load_manifest(path).grid["seed"][-2:]) == [MAX_CELLS - 2, MAX_CELLS - 1]


GRID = """
[base]
dataset = "digits"
clients = 15
rounds = 2

[grid]
group_size = [3, 99]
seed = "1-2"
"""


def test_a_check_looks_at_the_settings_of_every_cell(tmp_path: Path) -> None:
    done = sweep(tmp_path, GRID, "--check")
    assert done.exit_code == 2
    assert "✗ settings: 2 of 4 cells cannot run, such as group_size=99 seed=1: " in done.stdout
    assert "group_size = 99 is larger than the cohort of 15" in done.stdout
    assert "data and task" not in done.stdout
    fine = sweep(tmp_path, GRID.replace("99", "5"), "--check")
    assert fine.exit_code == 0
    assert "✓ settings: of 4 cells\n✓ data and task: 1 different" in fine.stdout
    assert not (tmp_path / "out").exists()


def test_a_check_loads_every_choice_of_data(tmp_path: Path) -> None:
    y = np.repeat(np.arange(129), 16)
    x = np.random.default_rng(1).normal(size=(len(y), 4)).astype(np.float32)
    for classes in (5, 129):
        kept = y < classes
        np.savez(tmp_path / f"{classes}.npz", x=x[kept], y=y[kept])
    own = 'clients = 15\nattack = "flip:0:1"\nclean_per_class = 2\n[grid]\n'
    files = ", ".join(f'"{tmp_path}/{name}.npz"' for name in (5, 129))
    done = sweep(tmp_path, f"[base]\n{own}data = [{files}]\nseed = [1, 2]\n", "--check")
    assert done.exit_code == 2
    assert "✗ data and task: 129 classes: label rows are opened of at most 128" in done.stdout
