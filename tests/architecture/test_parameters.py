"""Every default stands in one place, and no error text of the library quotes a command line."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest
from _tree import PACKAGES, ROOT, python_files

_COMMAND = re.compile(r"`auror[^`]*`")
"""A whole command as the fix may have flags: it says itself whose they are."""

HOMONYMS = {
    "hidden": "of two models",
    "rounds": "of a plan, and of a policy: the budget of everybody's data",
    "log": "the two programs have each their own",
    "threads": "the two programs have each their own",
    "device": "the two programs have each their own",
}
"""Fields of one name that mean different things, or that two programs decide separately."""


def quoting(source: str) -> list[str]:
    """Error texts in ``source`` that name a flag."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error")):
            continue
        parts = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
        text = "".join(part for part in parts if isinstance(part, str))
        if re.search(r"(?<![-\w])--[a-z]", _COMMAND.sub("", text)):
            found.append(f"line {node.lineno}: {text}")
    return found


def literal_defaults(source: str) -> list[tuple[str, str, str]]:
    """(class, field, default) of every annotated field with a literal default but None, no, ""."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef):
            continue
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                value = field.value
                if isinstance(value, ast.Call) and value.args == []:  # Field(default=…)
                    value = next((k.value for k in value.keywords if k.arg == "default"), value)
                if isinstance(value, ast.Constant) and value.value not in (None, False, "", b"", 0):
                    found.append((node.name, field.target.id, ast.unparse(value)))
    return found


def decorated_defaults(source: str) -> list[tuple[str, str]]:
    """(flag, default) of every ``click.option`` with a literal default but None and no."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "click.option":
            given = {key.arg: key.value for key in node.keywords}
            default = given.get("default")
            if isinstance(default, ast.Constant) and default.value not in (None, False, ""):
                found.append((ast.unparse(node.args[0]).strip("'"), ast.unparse(default)))
    return found


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ('raise ConfigError(f"--clients {n}: choose 2")', True),
        ('raise DataError("a" "b or use --dataset x")', True),
        ('raise ConfigError(f"clients = {n}: let the operator run `auror certs --eras 2`")', False),
        ('raise ConfigError("a -- b")', False),
        ('print("--clients")', False),
    ],
)
def test_the_search_for_flags_sees(source: str, seen: bool) -> None:
    assert bool(quoting(source)) is seen


def test_no_error_of_the_library_quotes_a_flag() -> None:
    files = [f for f in python_files(ROOT / "auror") if ROOT / "auror" / "cli" not in f.parents]
    assert len(files) > 100
    found = {str(f.relative_to(ROOT)): quoting(f.read_text(encoding="utf-8")) for f in files}
    assert not {name: texts for name, texts in found.items() if texts}


def test_each_default_of_a_parameter_is_written_once() -> None:
    places: dict[tuple[str, str], set[str]] = defaultdict(set)
    for file in python_files(*PACKAGES):
        if ROOT / "auror" / "bench" in file.parents:
            continue  # what was measured keeps its settings, whatever defaults become
        for owner, name, default in literal_defaults(file.read_text(encoding="utf-8")):
            if name not in HOMONYMS:
                places[name, default].add(f"{file.relative_to(ROOT)}: {owner}")
    assert ("group_size", "5") in places
    assert not {key: found for key, found in places.items() if len(found) > 1}


def test_flags_repeat_no_default_of_a_parameter() -> None:
    names = {
        (name, default)
        for file in python_files(*PACKAGES)
        for _owner, name, default in literal_defaults(file.read_text(encoding="utf-8"))
    }
    repeated = [
        (str(file.relative_to(ROOT)), flag, default)
        for file in _command_lines()
        for flag, default in decorated_defaults(file.read_text(encoding="utf-8"))
        if (flag.lstrip("-").replace("-", "_"), default) in names
    ]
    assert not repeated


def test_every_text_file_is_read_and_written_in_a_named_encoding() -> None:
    """A console in ASCII must not decide how a file is read."""
    found = []
    for file in python_files(*PACKAGES):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                owner, _dot, name = ast.unparse(node.func).rpartition(".")
                named = any(key.arg == "encoding" for key in node.keywords)
                words = [a.value for a in node.args if isinstance(a, ast.Constant)]
                text = (bool(owner) and name in ("read_text", "write_text")) or (
                    name == "open" and any(w in ("r", "w", "a", "x") for w in words)
                )
                if text and not named and "archive" not in ast.unparse(node.func):
                    found.append(f"{file.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)[:60]}")
    assert not found


def _command_lines() -> list[Path]:
    programs = [
        ROOT / "server" / "auror_server" / "cli.py",
        ROOT / "client" / "auror_client" / "cli.py",
    ]
    return [*python_files(ROOT / "auror" / "cli"), *programs]
