"""The README's commands: one machine after the other, then server and clients between machines."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import page_kit
import pytest

from auror.deployment.run_reader import RunReader
from auror.programs.processes import free_address

PAGE = "README.md"
SERVER_HOST = "127.0.0.2"
FEWER = {
    "auror simulate": "auror simulate --rounds 2",
    "loadtest --clients 200 --dim 10000": "loadtest --clients 12 --dim 1000",
    "--dataset signs-synthetic": "--dataset signs-synthetic --runs defended --clients 15",
}
OWN = """
import auror
from torch import nn


class Scans(auror.Task):
    input_shape, classes = (1, 8, 8), 3
    standardisation = auror.Standardisation(scale=255, mean=(0.4,), deviation=(0.3,))

    def build(self):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


def shift(x, y, rng):
    return x, (y + 1) % 3


def far(ledger, invited):
    return auror.PlainVerdict(flagged=frozenset(), scores={})
"""


def three(page: str) -> list[str]:
    """Enrolling, serving and joining, as ``page`` says it."""
    found = page_kit.lines(page)
    programs = ("auror certs", "auror-server", "auror-client")
    return [next(line for line in found if line.startswith(name)) for name in programs]


def test_both_pages_say_the_same_commands() -> None:
    assert three("docs/deploy.md") == three(PAGE)


def samples(folder: Path) -> None:
    rng = np.random.default_rng(7)
    y = np.arange(300) % 3
    means = np.array([[20, 80], [50, 20], [90, 60]])[y]
    rows = [f"{a:.1f},{b:.1f},{k}" for (a, b), k in zip(rng.normal(means, 5), y, strict=True)]
    (folder / "samples.csv").write_text("\n".join(["length,width,kind", *rows]))
    images = rng.integers(0, 80, (300, 1, 8, 8), dtype=np.uint8) + (80 * y[:, None, None, None])
    np.savez(folder / "images.npz", x=images.astype(np.uint8), y=y)
    (folder / "site_task.py").write_text(OWN)
    (folder / "own.py").write_text(OWN)


@pytest.mark.slow
def test_the_commands_of_one_machine(tmp_path: Path) -> None:
    found = page_kit.lines(PAGE, FEWER)
    alone, between = found[:-3], found[-3:]
    assert between == three(PAGE)
    samples(tmp_path)
    with page_kit.hosts(tmp_path) as host:
        here = host(".")
        here.run("auror simulate --rounds 1 --out runs/demo")  # `make demo` leaves such a folder
        said = {line: here.run(line) for line in alone}
    assert len(said) == 12
    assert all("Traceback" not in text for text in said.values())
    assert (tmp_path / "model.card.json").exists()


def test_the_readmes_python(tmp_path: Path) -> None:
    (code,) = (block.text for block in page_kit.blocks(PAGE) if block.language == "python")
    checked = f"{code}\nassert len(result.malicious) == 3\n"
    (tmp_path / "code.py").write_text(checked)
    with page_kit.hosts(tmp_path) as host:
        host(".").run("python code.py")


@pytest.mark.slow
def test_the_commands_between_machines(tmp_path: Path) -> None:
    """In six machines' folders; ``examples/two_hosts`` is the quick one of this kind."""
    port = free_address(SERVER_HOST).rpartition(":")[2]
    instead = {"server.example.org": SERVER_HOST, "0.0.0.0": SERVER_HOST, "7443": port,
               "--rounds 10": "--rounds 2"}  # fmt: skip
    enrol, serve, join = page_kit.lines(PAGE, instead)[-3:]
    with page_kit.hosts(tmp_path) as host:
        operator, server = host("operator"), host("server-machine")
        operator.run(enrol)
        shutil.copytree(operator.folder / "certs" / "server", server.folder / "server")
        running = [server.start(serve)]
        for name in sorted((operator.folder / "certs" / "clients").iterdir()):
            machine = host(f"client-machine-{name.name}")
            shutil.copytree(name, machine.folder / name.name)
            own = join.replace("--credentials 000", f"--credentials {name.name}")
            running.append(machine.start(own))
            assert (machine.folder / name.name / "key.pem").stat().st_mode & 0o077 == 0
        for program in running:
            program.ends()
        found = RunReader(server.folder / "runs" / "server").rounds()
        for line in found:
            audited = [client for index in line["audited"] for client in line["groups"][index]]
            assert sorted([*line["accepted"], *audited]) == list(range(6))
        assert len(found) == 2
        assert not (operator.folder / "runs").exists()
        assert len(list(tmp_path.glob("client-machine-*/state"))) == 6
