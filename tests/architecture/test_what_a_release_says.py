"""What a release says of itself is said alike everywhere, and its page on installing holds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import page_kit
from _tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGE = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")


def test_citation_and_project_name_one_version_and_licence() -> None:
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {PROJECT['version']}\n" in cited
    assert f"\nlicense: {PROJECT['license']}\n" in cited


def test_only_versions_of_python_that_were_tried_are_claimed() -> None:
    tried = re.findall(r"^\| (3\.\d+) \| \S", PAGE, re.MULTILINE)
    claimed = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if ":: 3." in name]
    assert tried == claimed
    assert f">={tried[0]}" == PROJECT["requires-python"]


def test_completion_is_switched_on_as_the_page_says() -> None:
    """In a bash of its own: every option and command of the three programs is on offer then."""
    lines = page_kit.lines("docs/install.md")
    assert len(lines) == len(PROJECT["scripts"]) == 3
    asked = "complete -p auror auror-server auror-client; COMP_WORDS=(auror sim); COMP_CWORD=1"
    script = "\n".join([*lines, asked, "_auror_completion auror", 'echo "${COMPREPLY[@]}"'])
    env = {**os.environ, "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, env=env,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("complete ") == 3
    assert done.stdout.splitlines()[-1] == "simulate"
