"""Tasks by name: what comes along, one's own code, and that nobody else's is ever imported."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from auror.errors import ConfigError
from auror.learn.architectures import Mlp, ResNet18
from auror.learn.pinned import PinnedTask
from auror.learn.samples import SampleSpec
from auror.learn.standardisation import Standardisation
from auror.learn.tasks import find_task, is_own, source_digest

IMAGES = SampleSpec((1, 8, 8), 10, standardisation=Standardisation(16, 0.3, 0.4))
CODE = '''
from torch import nn
import auror.learn.task as base

class Mine(base.Task):
    """A user's."""
    input_shape = (6,)
    classes = 3
    def build(self):
        return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))

mine = Mine()
nothing = 3

class Needs(Mine):
    def __init__(self, width):
        self.width = width
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the package ``site_code`` in it; nothing of it stays imported."""
    (tmp_path / "site_code").mkdir()
    (tmp_path / "site_code" / "__init__.py").write_text("")
    (tmp_path / "site_code" / "tasks.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "site_code"]:
        del sys.modules[name]


def pinned(name: str, samples: SampleSpec | None = None) -> PinnedTask:
    task = find_task(name, samples)
    return PinnedTask(task, task.training)


def test_names_with_settings() -> None:
    assert find_task("mlp", IMAGES) == Mlp((1, 8, 8), 10, IMAGES.standardisation)
    wide = find_task("resnet18:width=8", IMAGES)
    assert wide == ResNet18((1, 8, 8), 10, IMAGES.standardisation, width=8)
    assert (wide.reference, str(wide)) == ("resnet18:width=8", "task resnet18:width=8")
    assert find_task("mlp:hidden=64", IMAGES).reference == "mlp"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("vgg", "mlp, cnn, resnet18"),
        ("mlp:width=8", "mlp:hidden=NUMBER"),
        ("mlp:hidden=0", "hidden must be at least 1"),
        ("mlp:hidden=x", "mlp:hidden=NUMBER"),
        ("", "mlp, cnn, resnet18"),
    ],
)
def test_names_that_stand_for_nothing(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        find_task(name, IMAGES)


def test_without_labels_a_task_of_ones_own_is_needed() -> None:
    with pytest.raises(ConfigError, match="needs labelled samples"):
        find_task("mlp", SampleSpec((5,), None))


def test_a_task_that_comes_along_goes_round() -> None:
    for name in ("mlp", "cnn:hidden=20", "resnet18:width=4"):
        raw = pinned(name, IMAGES).to_bytes()
        assert PinnedTask.from_bytes(raw).to_bytes() == raw
        assert PinnedTask.from_bytes(raw, own=name).task == find_task(name, IMAGES)
        with pytest.raises(ConfigError, match=r'data.task = "mlp:hidden=5", but the policy'):
            PinnedTask.from_bytes(raw, own="mlp:hidden=5", setting="data.task")


def test_ones_own_goes_round_where_the_configuration_names_it(package: Path) -> None:
    made = pinned("site_code.tasks:mine")
    raw = made.to_bytes()
    stated = json.loads(raw)["model"]
    assert stated["kind"] == "site_code.tasks:mine"
    assert stated["source"] == source_digest(made.task)
    again = PinnedTask.from_bytes(raw, own="site_code.tasks:mine")
    assert again.task is made.task
    by_class = find_task("site_code.tasks:Mine")
    assert by_class.reference == "site_code.tasks:Mine"
    assert is_own("site_code.tasks:mine")
    assert not is_own("mlp")


@pytest.mark.parametrize("own", ["", "mlp", "site_code.other:mine"])
def test_what_the_policy_names_is_never_imported(package: Path, own: str) -> None:
    (package / "site_code" / "other.py").write_text(CODE)
    raw = pinned("site_code.tasks:mine").to_bytes()
    forget()
    with pytest.raises(ConfigError, match=r'trust it, set data.task = "site_code.tasks:mine"'):
        PinnedTask.from_bytes(raw, own=own, setting="data.task")
    assert not [name for name in sys.modules if name.startswith("site_code")]


@pytest.mark.parametrize(
    "changes",
    [{"A user's": "Another"}, {"6, 4": "6, 5", "4, 3": "5, 3"}],
    ids=["words", "shapes"],
)
def test_other_source_code_is_refused(package: Path, changes: dict[str, str]) -> None:
    """Whatever else, such as shapes, differs with it."""
    raw = pinned("site_code.tasks:mine").to_bytes()
    forget()
    path = package / "site_code" / "tasks.py"
    text = CODE
    for old, new in changes.items():
        text = text.replace(old, new)
    path.write_text(text)
    with pytest.raises(ConfigError, match="other source code"):
        PinnedTask.from_bytes(raw, own="site_code.tasks:mine", setting="other")


def test_the_code_behind_an_instance_is_hashed_too(package: Path) -> None:
    (package / "site_code" / "named.py").write_text("from site_code.tasks import mine as it\n")
    one = source_digest(find_task("site_code.named:it"))
    forget()
    (package / "site_code" / "tasks.py").write_text(CODE + "\n# changed\n")
    assert source_digest(find_task("site_code.named:it")) != one
    assert source_digest(find_task("mlp", IMAGES)) is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("site_code.tasks:nothing", "is int: give an object or a subclass of auror.Task"),
        ("site_code.tasks:missing", "has no missing"),
        ("site_code.absent:mine", "no module site_code.absent"),
        ("site_code.tasks:Needs", "width"),
    ],
)
def test_references_that_give_no_task(package: Path, name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        find_task(name)


def test_a_policy_of_another_version_is_refused() -> None:
    raw = pinned("mlp", IMAGES).to_bytes()
    stated = json.loads(raw)
    for change in ({"loss": "mean squared error"}, {"more": 1}, {"output": None}):
        with pytest.raises(ConfigError, match="not one that this version computes"):
            PinnedTask.from_bytes(json.dumps({**stated, **change}).encode())
    for broken in (b"{", b"[]", b'{"model": {}}', b'{"model": {"kind": "mlp"}, "training": {}}'):
        with pytest.raises(ConfigError, match="not one that this version computes"):
            PinnedTask.from_bytes(broken)


def test_how_it_is_trained_is_pinned() -> None:
    one = pinned("mlp", IMAGES)
    other = replace(one, training=replace(one.training, epochs=3))
    assert one.to_bytes() != other.to_bytes()
    assert PinnedTask.from_bytes(other.to_bytes()).training.epochs == 3
