"""The source tree as the architecture tests see it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (ROOT / "auror", ROOT / "server" / "auror_server", ROOT / "client" / "auror_client")
_SKIPPED = {"__pycache__", "node_modules", "dist", "runs", "data"}


def python_files(*roots: Path) -> list[Path]:
    """Every hand-written Python file under ``roots``."""
    files = (file for root in roots for file in root.rglob("*.py"))
    return sorted(f for f in files if "_pb2" not in f.name and "__pycache__" not in f.parts)


def text_files() -> Iterator[tuple[str, str]]:
    """(path relative to the root, content) of every text file that belongs to the repository."""
    for file in sorted(ROOT.rglob("*")):
        relative = file.relative_to(ROOT)
        hidden = any(part.startswith(".") and part != ".ci" for part in relative.parts)
        if hidden or _SKIPPED & set(relative.parts) or not file.is_file():
            continue
        try:
            yield relative.as_posix(), file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def dotted_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything imported or used as an attribute chain."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Attribute):
            name = _chain(node)
            if name:
                yield node.lineno, name


def _chain(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = _chain(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""
