"""Own samples over gRPC: image folders and tables at the server and at six clients, one of whom
writes its pixels in another scale, and two of whom lie about their labels."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import kit
import numpy as np
import pytest
from PIL import Image

from auror.deployment.certs import create_deployment
from auror.programs.enrol import Enrolment, terms_of
from auror.programs.processes import free_address, programs

NAMES = ("ash", "elm", "oak")
RNG = np.random.default_rng(1)
BASE = RNG.integers(60, 195, (3, 2, 8, 8))


def pictures(each: int) -> np.ndarray:
    """(3 · each, 2, 8, 8) uint8, class after class."""
    noise = RNG.normal(0, 40, (3, each, 2, 8, 8))
    return np.clip(BASE[:, None] + noise, 0, 255).astype(np.uint8).reshape(-1, 2, 8, 8)


def image_folder(folder: Path, each: int) -> None:
    for number, pixels in enumerate(pictures(each)):
        path = folder / NAMES[number // each] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.moveaxis(pixels, 0, -1), "LA").save(path)


def table(path: Path, each: int, columns: tuple[int, ...] = (0, 1, 2)) -> None:
    header = [("length", "width", "mass")[i] for i in columns]
    lines = [",".join([*header, "kind"])]
    for number, name in enumerate(NAMES):
        for _ in range(each):
            row = RNG.normal((50, 8, 1000), (10, 2, 300)) + 2.5 * np.eye(3)[number] * (10, 2, 300)
            lines.append(",".join([*(f"{row[i]:.3f}" for i in columns), name]))
    path.write_text("\n".join(lines) + "\n")


def make_images(folder: Path) -> tuple[str, str]:
    image_folder(folder / "operator", 30)
    for client in range(6):
        image_folder(folder / f"{client:03d}", 20)
    return "operator", "{client}"


def make_tables(folder: Path) -> tuple[str, str]:
    table(folder / "operator.csv", 30)
    for client in range(6):
        table(folder / f"{client:03d}.csv", 40, (2, 0, 1) if client == 3 else (0, 1, 2))
    return "operator.csv", "{client}.csv"


@pytest.mark.parametrize("make", [pytest.param(make_images, marks=pytest.mark.slow), make_tables])
def test_six_clients_train_on_their_own_samples(tmp_path: Path, make: Any) -> None:
    operator, site = make(tmp_path)
    wanted = Enrolment(
        clients=6, group_size=2, colluders=0, data=tmp_path / operator, clean_per_class=5
    )
    create_deployment(tmp_path / "certs", 6, ["127.0.0.1"], terms_of(wanted))
    address = free_address()
    server = {
        **kit.server_settings(tmp_path, address, session__rounds=6, session__defend=False),
        "learning.data": tmp_path / operator,
    }
    clients = {
        **kit.client_settings(tmp_path, address, "0-5"),
        "data.dataset": "own",
        "data.path": f"{tmp_path}/{site}",
        "data.attack": "flip:0:1",
        "data.malicious": "5",
    }
    said = kit.invoke(
        "auror_client", *(f"--set={k}={json.dumps(str(v))}" for k, v in clients.items()
                          if k != "client.give_up_after_s"), "--check", cwd=tmp_path,
    )  # fmt: skip
    assert re.search(r"data: \d{3} samples", said[1]), said[1]
    with programs(tmp_path / "logs") as starter, kit.serving(starter, server) as serving:
        started = starter.clients(clients, "clients")
        assert serving.process.wait(kit.PATIENCE) == 0, serving.log.read_text()
        assert started.process.wait(kit.PATIENCE) == 0, started.log.read_text()
    lines = kit.rounds(tmp_path)
    assert lines[-1]["metrics"]["accuracy"] > 0.8
    assert "clipped=" in started.log.read_text()
