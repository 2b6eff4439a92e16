"""Rules about the source that neither the type checker nor the import contracts can state."""

from __future__ import annotations

import ast
import re

import pytest
from _tree import PACKAGES, ROOT, dotted_names, python_files, text_files

# Modules where secrets live, or that read bytes of peers.
GUARDED = (
    ROOT / "auror" / "crypto",
    ROOT / "auror" / "secagg",
    ROOT / "auror" / "round",
    ROOT / "auror" / "wire",
    ROOT / "server" / "auror_server",
    ROOT / "client" / "auror_client",
)
BANNED = (
    "random",
    "np.random",
    "numpy.random",
    "pickle",
    "marshal",
    "shelve",
    "torch.load",
    "torch.manual_seed",
    "torch.Generator",
    "torch.rand",
    "torch.randn",
    "torch.randint",
    "torch.randperm",
    "np.load",
    "numpy.load",
    "joblib.load",
)
# Where neither a secret nor a peer's bytes are in reach, and why.
ALLOWED = {
    "client/auror_client/faults.py": ("np.random",),  # who vanishes in a load test
    "client/auror_client/trainer.py": (
        "np.random",  # synthetic updates, and which labels a test attacker flips
        "np.load",  # the operator's own samples, with allow_pickle=False
    ),
}


def offences(source: str) -> list[str]:
    found = dotted_names(ast.parse(source))
    return [
        f"line {line}: {name}"
        for line, name in found
        if any(name == banned or name.startswith(f"{banned}.") for banned in BANNED)
    ]


@pytest.mark.parametrize(
    "line",
    [
        "import random",
        "from random import randint",
        "import numpy as np\nnp.random.default_rng(0)",
        "from numpy.random import default_rng",
        "import pickle",
        "import torch\ntorch.load('x')",
        "from torch import load",
        "import torch\ntorch.manual_seed(1)",
    ],
)
def test_the_ban_sees(line: str) -> None:
    assert offences(line)


@pytest.mark.parametrize("line", ["import secrets", "from auror.crypto.entropy import Secret"])
def test_the_ban_lets_pass(line: str) -> None:
    assert not offences(line)


def test_no_foreign_randomness_or_unpickling_where_secrets_and_peers_are() -> None:
    files = python_files(*GUARDED)
    assert len(files) > 20
    found: dict[str, list[str]] = {}
    for file in files:
        name = file.relative_to(ROOT).as_posix()
        allowed = ALLOWED.get(name, ())
        bad = [
            offence
            for offence in offences(file.read_text(encoding="utf-8"))
            if not offence.split(": ")[1].startswith(allowed or ("\0",))
        ]
        if bad:
            found[name] = bad
    assert not found


def test_every_array_file_is_read_without_pickle() -> None:
    calls = [
        (file.relative_to(ROOT).as_posix(), node)
        for file in python_files(*PACKAGES)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load")
    ]
    assert calls
    for name, call in calls:
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert given.get("allow_pickle") == "False", name


def test_every_package_folder_has_an_init_and_proto_has_none() -> None:
    folders = {file.parent for package in PACKAGES for file in package.rglob("*.py")}
    missing = [str(f.relative_to(ROOT)) for f in folders if not (f / "__init__.py").exists()]
    assert not missing
    assert not list((ROOT / "proto").rglob("__init__.py"))


def test_nothing_names_a_package_index_or_a_folder_of_one_machine() -> None:
    # Joined here, so that this file does not name them either.
    foreign = [
        "pypi" + ".org",
        "pythonhosted" + ".org",
        "download.pytorch" + ".org",
        "/opt/" + "pypi",
        "/opt/" + "wheels",
        "/work/" + "main",
        "/work/" + "shared",
        "/tmp/" + "notes",
        "/root/" + ".",
        "/home/" + "user",
    ]
    found = [(path, word) for path, text in text_files() for word in foreign if word in text]
    assert not found


def test_no_suppression_without_a_code_and_no_skipped_test() -> None:
    banned = [
        "type: " + "ignore\n",
        "# " + "noqa\n",
        "pytest.mark." + "skip",
        "pytest.mark.x" + "fail",
    ]
    roots = (*PACKAGES, ROOT / "tests")
    found = [
        (file.relative_to(ROOT).as_posix(), word)
        for file in python_files(*roots)
        for word in banned
        if word in file.read_text(encoding="utf-8")
    ]
    assert not found


def test_no_file_is_too_long_to_be_read_at_once() -> None:
    roots = (ROOT / name for name in ("auror", "server", "client", "tests", "scripts", "examples"))
    lines = {p.relative_to(ROOT): len(p.read_text().splitlines()) for p in python_files(*roots)}
    phases = {p: n for p, n in lines.items() if "round" in p.parts and re.match(r"p\d", p.name)}
    assert phases
    assert {p: n for p, n in lines.items() if n > 350} == {}
    assert {p: n for p, n in phases.items() if n > 250} == {}
