"""The CUDA paths, checked on a machine that has torch, torchvision and numpy and nothing else.

    python3 tests/gpu/run.py --out docs/results/gpu.json

One JSON line per check and per timing on stdout. Exit code 0: all checks passed, 1: one
failed, 3: this machine has no CUDA device. ``--device cpu`` runs the same checks on the CPU.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no installation needed

import numpy as np
import torch

from auror.defence.confusion import dual_readout
from auror.errors import ConfigError, DataError
from auror.learn.architectures import ARCHITECTURES
from auror.learn.attacks import LabelFlip
from auror.learn.cohort_training import train_clients
from auror.learn.device import resolve_device
from auror.learn.evaluate import class_means, evaluate, predict
from auror.learn.models import build, flatten
from auror.learn.task import Task
from auror.learn.training import Floats, Labels, TrainingParams, train_client

NO_CUDA = 3
CLASSES = 10
ROUNDS = 12
SAMPLES = 133  # 4,000 training samples over 30 clients
TOLERANCE: dict[str, float] = {"mlp": 1e-3, "cnn": 1e-2}
"""Largest difference allowed between two ways to compute one update, relative to the largest
entry. The MLP's matrix products differ in the order of float32 sums only (7e-7 on an H200).
For convolutions cuDNN picks another algorithm for 30 clients at once than for one, and where
rounding decides a ReLU or the winner of a max pool, a gradient takes another path: up to 2.9e-3
with TF32 off. A mistake is larger: one client's batches in another order move an entry by 4e-2
(MLP) and 9e-2 (CNN), one wrong label of 133 by 8e-2, a lost step or counted padding by 2e-1."""


@dataclass(frozen=True, slots=True)
class Federation:
    """Synthetic clients: noisy copies of ten random images, unequal sizes."""

    task: Task
    model: Floats
    xs: list[Floats]
    ys: list[Labels]
    seeds: list[int]
    params: TrainingParams


@dataclass(frozen=True, slots=True)
class Check:
    check: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Timing:
    timing: str
    clients: int
    milliseconds: float


def federation(kind: str, clients: int, side: int = 28) -> Federation:
    rng = np.random.default_rng(7)
    width = 64 if kind == "mlp" else 84
    task = ARCHITECTURES[kind]((1, side, side), CLASSES, hidden=width)
    patterns = rng.normal(size=(CLASSES, 1, side, side))
    sizes = [max(SAMPLES - 7 * (client % 4), CLASSES) for client in range(clients)]
    ys = [rng.integers(0, CLASSES, size).astype(np.int64) for size in sizes]
    xs = [(patterns[y] + rng.normal(size=(len(y), 1, side, side))).astype(np.float32) for y in ys]
    seeds = [100 + client for client in range(clients)]
    # Gentle steps: at large ones training is chaotic, and rounding grows into a difference.
    params = TrainingParams(learning_rate=0.02)
    return Federation(task, flatten(build(task, 1)), xs, ys, seeds, params)


def one_by_one(fed: Federation, device: torch.device) -> Floats:
    return np.stack(
        [
            train_client(fed.task, fed.model, x, y, params=fed.params, seed=seed, device=device)
            for x, y, seed in zip(fed.xs, fed.ys, fed.seeds, strict=True)
        ]
    )


def together(fed: Federation, device: torch.device) -> Floats:
    return train_clients(
        fed.task, fed.model, fed.xs, fed.ys, params=fed.params, seeds=fed.seeds, device=device
    )


def close(kind: str, what: str, left: Floats, right: Floats) -> Check:
    difference = float(np.abs(left - right).max() / np.abs(right).max())
    detail = f"relative difference {difference:.1e}"
    return Check(f"{kind}: {what}", difference <= TOLERANCE[kind], detail)


def refused(check: str, act: Callable[[], object], error: type[Exception]) -> Check:
    try:
        act()
    except error as message:
        return Check(check, True, str(message))
    return Check(check, False, f"no {error.__name__} was raised")


def device_checks(device: torch.device) -> list[Check]:
    checks = [
        Check(
            "device: resolves to itself",
            resolve_device(str(device)) == device,
            str(resolve_device(str(device))),
        ),
        refused("device: absent card refused", lambda: resolve_device("cuda:99"), ConfigError),
    ]
    if device.type == "cuda":
        auto = resolve_device("auto")
        checks.append(Check("device: auto finds CUDA", auto.type == "cuda", str(auto)))
    return checks


def model_checks(kind: str, clients: int, device: torch.device) -> list[Check]:
    fed = federation(kind, clients)
    cpu = torch.device("cpu")
    batch, single, reference = together(fed, device), one_by_one(fed, device), together(fed, cpu)
    checks = [
        close(kind, "vmapped clients against one by one", batch, single),
        close(kind, f"{device.type} against cpu", batch, reference),
        Check(
            f"{kind}: vmapped clients repeat bit for bit",
            batch.tobytes() == together(fed, device).tobytes(),
            "two runs",
        ),
        Check(
            f"{kind}: one by one repeats bit for bit",
            single.tobytes() == one_by_one(fed, device).tobytes(),
            "two runs",
        ),
    ]
    x, y = np.concatenate(fed.xs), np.concatenate(fed.ys)
    trained = fed
    for _ in range(ROUNDS):
        step = together(trained, device).mean(axis=0)
        trained = replace(trained, model=trained.model + step)
    model = trained.model
    before = evaluate(fed.task, fed.model, x, y, attack=None, device=device).accuracy
    after = evaluate(fed.task, model, x, y, attack=None, device=device).accuracy
    learned = f"accuracy {before:.2f} -> {after:.2f}"
    checks.append(Check(f"{kind}: {ROUNDS} rounds learn", after > 0.9, learned))
    agree = float(np.mean(predict(fed.task, model, x, device) == predict(fed.task, model, x, cpu)))
    checks.append(
        Check(
            f"{kind}: predictions on {device.type} and cpu", agree >= 0.999, f"equal: {agree:.4f}"
        )
    )
    return [*checks, *attack_checks(kind, trained, x, y, device), diverging(kind, fed, device)]


def attack_checks(
    kind: str, fed: Federation, x: Floats, y: Labels, device: torch.device
) -> list[Check]:
    """Label flips train on the device, and the label-confusion statistic of it shows them."""
    flip = LabelFlip(4, 9)
    rng = np.random.default_rng(5)
    flipped = [
        flip.poison(fed_x, labels, rng)[1] for fed_x, labels in zip(fed.xs, fed.ys, strict=True)
    ]
    poisoned = replace(fed, ys=flipped)
    means = class_means(fed.task, fed.model, x, y, device).astype(np.float64)
    basis = dual_readout(means) @ means
    readings = []
    for run in (fed, poisoned):
        change = together(run, device).mean(axis=0)
        moved = run.task.layout.need_output().weights(change)
        readings.append(float(moved[flip.target] @ basis[flip.source]))
    detail = f"honest {readings[0]:.4f}, flipped {readings[1]:.4f}"
    return [Check(f"{kind}: flips show in label confusion", readings[1] > readings[0], detail)]


def diverging(kind: str, fed: Federation, device: torch.device) -> Check:
    wild = TrainingParams(epochs=3, learning_rate=1e30)
    run = Federation(fed.task, fed.model, fed.xs, fed.ys, fed.seeds, wild)
    return refused(
        f"{kind}: an update that is not finite", lambda: together(run, device), DataError
    )


def timings(kind: str, clients: int, device: torch.device, repeats: int) -> list[Timing]:
    fed = federation(kind, clients)
    results = []
    for name, run in (("vmapped", together), ("one by one", one_by_one)):
        run(fed, device)  # kernels are chosen and loaded once
        taken = []
        for _ in range(repeats):
            started = time.perf_counter()
            run(fed, device)
            taken.append(time.perf_counter() - started)
        best = round(1000 * min(taken), 2)
        results.append(Timing(f"{kind}: a round of local training, {name}", clients, best))
    return results


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu")
    parser.add_argument("--clients", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=5, help="timings: best of so many")
    parser.add_argument("--out", type=Path, help="write everything to this JSON file")
    options = parser.parse_args(arguments)
    try:
        device = resolve_device(options.device)
    except ConfigError as error:
        print(f"not run: {error}", file=sys.stderr)
        return NO_CUDA
    checks: list[Check] = []
    times: list[Timing] = []
    for step in (
        lambda: device_checks(device),
        *(lambda kind=kind: model_checks(kind, options.clients, device) for kind in TOLERANCE),
    ):
        for check in step():
            print(json.dumps(asdict(check)), flush=True)
            checks.append(check)
    for kind in TOLERANCE:
        for timing in timings(kind, options.clients, device, options.repeats):
            print(json.dumps(asdict(timing)), flush=True)
            times.append(timing)
    passed = all(check.ok for check in checks)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        report = {
            "passed": passed,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "python": platform.python_version(),
            "versions": {
                name: importlib.metadata.version(name) for name in ("torch", "torchvision", "numpy")
            },
            "checks": [asdict(check) for check in checks],
            "timings": [asdict(timing) for timing in times],
        }
        options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({"passed": passed, "checks": len(checks)}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
