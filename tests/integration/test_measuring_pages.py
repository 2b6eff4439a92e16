"""docs/sweeps.md, docs/scaling.md and docs/signs.md: their commands, with less of everything."""

from __future__ import annotations

from pathlib import Path

import page_kit
import pytest

from auror.learn.signs import draw_signs
from auror.programs.processes import free_address

MANIFEST = """
[base]
dataset = "digits"
clients = 6
malicious = 1
rounds = 2
colluders = 1

[grid]
group_size = [2, 3]
"""
SWEEPS = {
    "docs/results/tradeoff/manifest.toml": "grid.toml",
    "--reduced": "--reduced --only timing",
    "--seeds 7 --first-seed 9100 --only calibration": "--reduced --first-seed 9100 --only timing",
    "FOLDER": "bench",
}
SCALING = {
    "--clients 1000 --dim 100000 --rounds 3": "--clients 6 --dim 1000 --rounds 2",
    "--clients 60 --rounds 25 --attackers 15": "--clients 12 --dim 1000 --rounds 2 --attackers 3",
    "--delay lognormal:2:1": "--clients 6 --dim 1000 --rounds 2 --delay lognormal:0.2:1",
    "--malformed 0.05": "--clients 6 --dim 1000 --rounds 2 --malformed 0.05",
    "--hold 60 --clients 10000": "--hold 1 --clients 20",
    "fl.example.org:7443": "ADDRESS",
}


@pytest.mark.slow
def test_sweeps(tmp_path: Path) -> None:
    sweep, report, *bench = page_kit.lines("docs/sweeps.md", SWEEPS)
    (real, *_rest) = page_kit.lines("docs/sweeps.md")
    with page_kit.hosts(tmp_path) as host:
        here = host(".")
        (tmp_path / "grid.toml").write_text(MANIFEST)
        (tmp_path / "docs").symlink_to(page_kit.ROOT / "docs")
        assert "48 cells" in here.run(f"{real} --check")
        here.run(sweep)
        here.run(report)
        assert len(list((tmp_path / "runs/tradeoff/cells").iterdir())) == 2
        assert "<svg" in (tmp_path / "tradeoff.html").read_text()
        said = [here.run(line) for line in bench]
        assert len(said) == 3
        assert all("CPU seconds of a verdict" in text for text in said)
        assert list((tmp_path / "bench").glob("*timing*"))


@pytest.mark.slow
def test_scaling(tmp_path: Path) -> None:
    *alone, elsewhere = page_kit.lines("docs/scaling.md", SCALING)
    address = free_address()
    with page_kit.hosts(tmp_path) as host:
        here = host(".")
        said = [here.run(line) for line in alone]
        assert (tmp_path / "runs/load/report.html").exists()
        assert len(said) == 5
        here.run("auror certs certs --server 127.0.0.1 --clients 6 --group-size 2 --dataset digits")
        server = here.start(
            f"auror-server --listen {address} --credentials certs/server --dataset digits"
            " --rounds 2",
            "server",
        )
        page_kit.until(lambda: "waiting for" in server.text(), server)
        here.run(elsewhere.replace("ADDRESS", address) + " --dataset digits")
        server.ends()


@pytest.mark.slow
def test_signs(tmp_path: Path) -> None:
    line, *_ = page_kit.lines("docs/signs.md", {"--dataset gtsrb": "--dataset signs-synthetic"})
    draw_signs(tmp_path / "DIR" / "signs-synthetic", tracks=[8] * 43, frames=10)
    small = line.replace("--clients 30 --malicious 9", "--clients 6 --malicious 1")
    with page_kit.hosts(tmp_path) as host:
        said = host(".").run(f"{small} --rounds 1 --runs undefended")
    assert "undefended" in said
