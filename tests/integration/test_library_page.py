"""Every code block of docs/library.md is run, and every public name is on the page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import auror

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


EACH = "import runpy, sys\nfor name in sys.argv[1:]: runpy.run_path(name, run_name='__main__')"


def test_every_block_runs_by_itself(tmp_path: Path) -> None:
    """In one process one after the other, none with another's names: torch is imported once."""
    names = [f"block{number}.py" for number in range(len(BLOCKS))]
    for name, block in zip(names, BLOCKS, strict=True):
        (tmp_path / name).write_text(block, encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = subprocess.run(
        [sys.executable, "-c", EACH, *names],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert not found.stderr


def test_the_page_is_one_page_and_names_everything() -> None:
    assert len(BLOCKS) == 6
    assert len(PAGE.splitlines()) <= 160
    missing = [name for name in auror.__all__ if f"`{name}`" not in PAGE]
    assert set(missing) <= {"FeatureKind", "RoundResult", "__version__"}
