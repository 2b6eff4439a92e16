"""``auror export``: the model comes out whole, loads in plain PyTorch, and says what it is."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from helpers_result import DATA, SPEC, TASK, result

from auror.cli import main
from auror.deployment.model_file import model_sha256, named_tensors
from auror.errors import DataError
from auror.experiments.config import RunName
from auror.experiments.finished import read_finished
from auror.experiments.runfolder import write_run
from auror.report.card import card_json
from auror.report.export import Format, export

DOCUMENT = Path(__file__).parents[3] / "docs" / "export.md"
BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
CHECK = """
import torch
print(*(float(p.detach().double().sum()) for p in model.parameters()))
print(tuple(model(torch.zeros(2, 1, 8, 8)).shape))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_run(tmp_path / "run", result(), TASK, DATA)
    return tmp_path / "run"


def invoke(*words: object) -> Result:
    return CliRunner().invoke(main, ["export", *map(str, words)])


def plain_python(script: str, where: Path) -> str:
    """Run in a process that cannot import auror."""
    blocked = "import sys\nsys.modules['auror'] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", blocked + script],
        cwd=where,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_lines_of_the_document_load_the_model_without_auror(folder: Path) -> None:
    for form, name in (("safetensors", "digits.safetensors"), ("torch", "served.pt")):
        done = invoke(folder, "--format", form, "--out", folder / name)
        assert done.exit_code == 0, done.output
    whole, last = BLOCKS
    assert len([line for line in whole.splitlines() if "model" in line or "features" in line]) == 3
    scripts = (whole, whole[: whole.rindex("model.load")] + last)
    both = "\n".join(script + CHECK for script in scripts)
    said = plain_python("import torch\n" + both, folder).splitlines()
    tensors = named_tensors(TASK, result().model)
    wanted = [float(tensor.astype(np.float64).sum()) for tensor in tensors.values()]
    for sums, shape in zip(said[::2], said[1::2], strict=True):
        assert [float(word) for word in sums.split()] == pytest.approx(wanted, abs=1e-9)
        assert shape == "(2, 10)"
    assert len(said) == 4


def test_the_state_dict_is_the_models_own(folder: Path) -> None:
    made = export(read_finished(folder), Format.TORCH, None)
    assert made.model == folder / "exported.pt"
    module = SPEC.build()
    module.load_state_dict(torch.load(made.model, weights_only=True))  # noqa: TID251 - the file just written
    flat = torch.cat([p.reshape(-1) for p in module.parameters()]).detach().numpy()
    assert flat.tobytes() == result().model.tobytes()


def test_the_card_says_what_the_model_is_and_holds_no_sample(folder: Path) -> None:
    done = invoke(folder, "--out", folder / "m.safetensors")
    assert "m.card.md and m.card.json" in done.stdout
    card = json.loads((folder / "m.card.json").read_text())
    assert card["model"]["sha256"] == model_sha256(result().model)
    assert card["model"]["tensors"]["output.weight"] == [10, 64]
    assert card["task"] == json.loads(TASK)
    assert card["data"] == DATA
    assert card["training"] == {
        "rounds": 4, "aborted": 1, "era": 1, "totals_in_era": 2, "clients": 6, "complete": True,
    }  # fmt: skip
    assert card["verdict"]["flagged"] == [5]
    assert card["policy"] is None
    assert card["privacy"]["statistic_recovery"] == 0.75
    assert "statistic_recovery_of" not in card["privacy"]
    assert card["metrics"]["accuracy"] == pytest.approx(0.8)
    page = (folder / "m.card.md").read_text()
    for words in (model_sha256(result().model), "10 × 64", "flagged: 5", "360", "0.8000"):
        assert words in page
    assert 'load_file("m.safetensors")' in page
    assert "\n\n\n" not in page


def test_nothing_is_overwritten_unasked(folder: Path) -> None:
    assert invoke(folder).exit_code == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    again = invoke(folder)
    assert again.exit_code == 2
    assert "exported.safetensors is there already: choose another with --out FILE" in again.output
    assert "--force" in again.output
    (folder / "exported.safetensors").unlink()
    assert "exported.card.json is there already" in invoke(folder).output
    assert invoke(folder, "--force").exit_code == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_plain_run_has_no_verdict_and_no_account(tmp_path: Path) -> None:
    found = result()
    only = {RunName.CLEAN: found.outcomes[RunName.CLEAN]}
    write_run(tmp_path, result(outcomes=only, defended=None), TASK, DATA)
    card = card_json(read_finished(tmp_path))
    assert (card["verdict"], card["privacy"]) == (None, None)
    assert card["training"] == {"rounds": 2, "era": 0, "complete": True}
    export(read_finished(tmp_path), Format.SAFETENSORS, None)
    page = (tmp_path / "exported.card.md").read_text()
    assert "Nobody was looked for." in page
    assert "no privacy account" in page


def test_what_cannot_be_exported_is_one_line(folder: Path, tmp_path: Path) -> None:
    done = invoke(tmp_path)
    assert done.exit_code == 4
    assert "is no run folder" in done.output
    assert done.output.count("\n") == 1
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    done = invoke(folder, "--out", nowhere / "m.safetensors")
    assert done.exit_code == 4
    assert done.output.count("\n") == 1
    (folder / "task.json").write_bytes(b"{}")
    assert invoke(folder).exit_code == 4


def test_a_run_that_trained_nothing_has_no_model_to_export(folder: Path) -> None:
    run = dataclasses.replace(read_finished(folder), model=None)
    with pytest.raises(DataError, match="no round of this run trained"):
        export(run, Format.SAFETENSORS, None)
