"""Names, one's own objects, and what is said when neither is there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from auror.errors import ConfigError
from auror.registry import (
    Registry,
    fault_in,
    in_own_code,
    is_reference,
    load_reference,
    takes,
)

KNOWN: Registry[Callable[[int], int]] = Registry(
    "rule", {"double": lambda x: 2 * x, "halve": lambda x: x // 2}, callable, "a function"
)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Writes a module into the working folder and gives its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def write(source: str) -> str:
        name = f"own_{uuid4().hex}"
        Path(f"{name}.py").write_text(source, encoding="utf-8")
        return name

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def error(act: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("text", ["own:rule", "a.b.c:rule", "own:Class.method", "_x1:y_2"])
def test_a_reference_is_a_module_and_a_name(text: str) -> None:
    assert is_reference(text)


@pytest.mark.parametrize("text", ["flip:4:9", "backdoor:0", "mean", "a/b.py:x", "a:", ":b", "a.:b"])
def test_other_words_are_none(text: str) -> None:
    assert not is_reference(text)
    assert "write package.module:attribute" in error(lambda: load_reference("rule", text))


def test_a_known_name_and_ones_own(module: Callable[[str], str]) -> None:
    name = module("def triple(x):\n    return 3 * x\n\nclass Box:\n    inner = abs\n")
    assert KNOWN.find("double")(4) == 8
    assert KNOWN.find(f"{name}:triple")(4) == 12
    assert KNOWN.find(f"{name}:Box.inner")(-4) == 4
    assert list(KNOWN) == ["double", "halve"]
    assert len(KNOWN) == 2


def test_an_unknown_name_says_what_is_near() -> None:
    said = error(lambda: KNOWN.find("doubel"))
    assert "rule 'doubel' is not known, did you mean double?" in said
    assert "choose of double, halve, or name your own as package.module:attribute" in said
    assert "did you mean" not in error(lambda: KNOWN.find("zzz"))


def test_a_module_that_is_not_there() -> None:
    said = error(lambda: KNOWN.find("no_such_module_here.inner:rule"))
    assert "there is no module no_such_module_here" in said


def test_a_module_that_lacks_the_name(module: Callable[[str], str]) -> None:
    name = module("def triple(x):\n    return 3 * x\n")
    said = error(lambda: KNOWN.find(f"{name}:tripel"))
    assert f"{name} has no tripel, did you mean triple?" in said


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("1 / 0\n", "failed: ZeroDivisionError: division by zero"),
        ("raise ValueError('one\\ntwo')\n", "failed: ValueError: one"),
        ("def f(:\n", "failed: SyntaxError"),
        ("import sys\nsys.exit()\n", "failed: SystemExit"),
        ("import nothing_like_this\n", "failed: No module named 'nothing_like_this'"),
    ],
)
def test_a_module_that_cannot_be_imported(
    module: Callable[[str], str], source: str, words: str
) -> None:
    name = module(source)
    assert words in error(lambda: KNOWN.find(f"{name}:rule"))


def test_an_object_of_another_kind(module: Callable[[str], str]) -> None:
    name = module("rule = 3\n")
    assert f"rule '{name}:rule' is int, not a function" in error(lambda: KNOWN.find(f"{name}:rule"))


def test_nothing_installed_is_replaced_by_the_working_folder(module: Callable[[str], str]) -> None:
    Path("statistics.py").write_text("mean = None\n", encoding="utf-8")
    assert callable(load_reference("rule", "statistics:mean"))


def test_an_error_in_ones_own_code_is_told_with_its_place(module: Callable[[str], str]) -> None:
    name = module("def rule(x):\n    y = x + 1\n    return sum(y)\n")
    with pytest.raises(TypeError) as caught:
        KNOWN.find(f"{name}:rule")(1)
    assert str(fault_in(caught.value)).startswith(f"{name}.py, line 3: TypeError: ")


def test_ones_own_code_cannot_end_the_program_as_if_all_were_done(
    module: Callable[[str], str],
) -> None:
    name = module("import sys\n\ndef rule(x):\n    sys.exit(0)\n")
    rule = KNOWN.find(f"{name}:rule")
    said = f"^rule failed: {name}.py, line 4: SystemExit: 0"
    with pytest.raises(ConfigError, match=said), in_own_code("rule"):
        rule(1)


def test_an_error_elsewhere_is_nobodys_code() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        KNOWN.find("double")(1 // 0)
    assert fault_in(caught.value) is None


class Adds:
    def __call__(self, x: int, y: int, z: int = 0) -> int:
        return x + y + z


class Made:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, x: int) -> int:
        return self.factor * x


@pytest.mark.parametrize(
    ("found", "fitting"),
    [
        (lambda x, y: x, {2}),
        (lambda x, y=0: x, {1, 2}),
        (lambda *values: values, {1, 2, 3}),
        (lambda x, *, y: x, set()),
        (Adds(), {2, 3}),
        (Adds, {2, 3}),  # its objects are called
        (Made, set()),  # cannot be made without a value
        (int, set()),  # its objects cannot be called
        (max, {1, 2, 3}),  # says nothing of itself
        (3, set()),
    ],
)
def test_how_many_values_something_takes(found: object, fitting: set[int]) -> None:
    assert {count for count in (1, 2, 3) if takes(found, count)} == fitting
