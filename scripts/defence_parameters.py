"""Render docs/results/defence/parameters.md from the verdict's parameters and their docstrings.

python scripts/defence_parameters.py [--check]
"""

from __future__ import annotations

import argparse
import ast
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

from auror import params

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "results" / "defence" / "parameters.md"
CLASSES = {
    "VerdictParams": "auror/defence/selection.py",
    "GuardParams": "auror/defence/consistency.py",
}
_HEAD = """# Parameters of the verdict, and on what they were set

`python scripts/defence_parameters.py` makes this page from the docstrings in the code.
Readings, premises and the misfit were set on recorded trainings of seeds 101 to 120, 7010 and 7011
(MNIST, digits, signs; MLP and CNN); the waits for coverage on seeds 2 to 30, 200 to 211 and 4000 to
4009 of the default training.
"""


def fields(source: str, name: str) -> Iterator[tuple[str, str, str]]:
    """(field, default, docstring on one line) of the class ``name``, in order."""
    tree = ast.parse(source)
    body = next(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)
    for node, after in itertools.pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            if not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)):
                raise SystemExit(f"{name}.{node.target.id} has no docstring: say on what it is set")
            text = " ".join(str(after.value.value).split()).replace("``", "`")
            default = ast.unparse(node.value)
            yield node.target.id, str(getattr(params, default, default)), text


def page() -> str:
    """The whole page."""
    lines = [_HEAD]
    for name, path in CLASSES.items():
        lines += [
            f"## `{name}` ({path})",
            "",
            "| parameter | default | meaning, and why |",
            "|---|---|---|",
        ]
        for field, default, text in fields((ROOT / path).read_text(), name):
            lines.append(f"| `{field}` | {default} | {text} |")
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 when the page is stale")
    if parser.parse_args().check:
        return int(not PAGE.exists() or PAGE.read_text() != page())
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
