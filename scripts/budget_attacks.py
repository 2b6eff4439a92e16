"""Measure what a server that crafts models can recover: docs/results/budget.json and .md.

    python scripts/budget_attacks.py            # measure (some seven minutes, one core), write both
    python scripts/budget_attacks.py --render   # rewrite the tables from the committed data

The policy is what ``auror certs`` writes for 30 clients; training is the pinned task on mnist5k.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from budget_tables import render

from auror.bench.crafted import (
    PIXEL_MOVE,
    Recovered,
    WatchedRun,
    attribution,
    averaging,
    constant_pixels,
    frozen,
    members_of,
    moving_pixels,
    recovered,
    recovered_by,
    train_rounds,
    update_change,
)
from auror.bench.imprinting import accuracy_under_noise, imprint
from auror.experiments.config import ExperimentConfig
from auror.experiments.prepared import Prepared
from auror.learn.imprint import Imprint
from auror.learn.training import TrainingParams
from auror.params import Budget
from auror.privacy.overlap import aimed, companies, halves, nested, one_out, triples
from auror.programs.enrol import Enrolment
from auror.sim.simulate import Aggregation

SEEDS = (1, 2, 3)
ROUNDS = (10, 30, 60)
CLIENTS, TRAINED, VICTIMS = 30, 20, 3
"""``TRAINED``: rounds of honest training before the model is frozen."""
TELLING = 0.05
SIXTY, SHARE = 60, 66  # 60 clients of 66 images each, against 30 of as many
FULL_BATCH = TrainingParams(epochs=1, batch_size=1 << 20)
ONE_STEP = Imprint(crowd=1, gain=5, steepness=0.01)
MANY_STEPS = Imprint(crowd=3, gain=2, steepness=0.1)
MOVED_ON = [Imprint(3, 2, 0.1, float(at)) for at in np.linspace(0.28, 0.73, 10)]
AGAINST_NOISE = [  # of these a server takes what serves it best
    MANY_STEPS,
    *(Imprint(3, gain, 0.1, at) for at in (0.9, 0.97, 0.99) for gain in (4.0, 20.0)),
]
NOISES = (1e-4, 1e-3, 3e-3, 1e-2)
_LATER = f"model of round {TRAINED}, frozen, "
OUT = Path(__file__).resolve().parents[1] / "docs" / "results" / "budget.json"

Json = dict[str, Any]


def prepare(seed: int, clients: int = CLIENTS) -> Prepared:
    return Prepared.of(
        ExperimentConfig(
            clients=clients,
            malicious=0,
            attack=None,
            rounds=ROUNDS[-1],
            seed=seed,
            round_params=Enrolment(clients=clients).params(),
            aggregation=Aggregation.PLAIN,
            device="cpu",
        )
    )


def flagged(seed: int) -> Iterator[Json]:
    """A row for a run at c = 9 whose liars are flagged, and that then trains again without them."""
    config = ExperimentConfig(rounds=30, seed=seed, aggregation=Aggregation.PLAIN, device="cpu")
    run = WatchedRun.of(Prepared.of(config))
    found = recovered(run.prepared, run.records, run.truth)
    yield _row("honest server, nine of 30 flip labels, trained twice", len(run.records), found)


def whole_budget() -> int:
    """Attempts that the policy of ``auror certs`` allows over all trainings."""
    enrolment = Enrolment(clients=CLIENTS)
    return Budget.for_rounds(enrolment.rounds, enrolment.trainings).max_openings


def recoveries(run: WatchedRun) -> Iterator[Json]:
    """Rows of the first table, for one seed."""
    prepared, params = run.prepared, run.prepared.config.round_params
    members, seed = members_of(prepared), run.prepared.config.seed
    first, trained, longest = run.models[0], run.models[TRAINED], whole_budget()
    half = companies(halves(members, params), longest, seed)
    same = {"honest run": run.truth}
    same["first model, frozen"] = train_rounds(prepared, first, frozen, ROUNDS[-1])
    again = same[f"model of round {TRAINED}, frozen"] = train_rounds(
        prepared, trained, frozen, longest
    )
    pixels = moving_pixels(prepared, trained, seed)
    same[f"model of round {TRAINED}, constant pixels moved"] = train_rounds(
        prepared, pixels(0, trained, {}), pixels, ROUNDS[-1]
    )
    for name, truth in same.items():
        for rounds in ROUNDS:
            yield _row(name, rounds, recovered(prepared, run.records[:rounds], truth))
    moving = train_rounds(prepared, first, averaging(half), ROUNDS[-1])
    for rounds in ROUNDS:
        found = recovered_by(prepared, half[:rounds], moving)
        yield _row("honest training, half of each total left out", rounds, found)
    for rounds in (*ROUNDS, longest):
        found = recovered_by(prepared, half[:rounds], again)
        yield _row(_LATER + "half of each total left out", rounds, found)
    one = companies(one_out(members, params), ROUNDS[-1], seed)
    for rounds in ROUNDS:
        found = recovered_by(prepared, one[:rounds], again)
        yield _row(_LATER + "one group of each total left out", rounds, found)
    designs = {
        _LATER + "cohorts of 20 around one client": aimed,
        _LATER + "C+{v,a}, C+{v,b}, C+{a,b}": triples,
        _LATER + "D and D+{v}": nested,
    }
    for name, design in designs.items():
        for victim in members[:VICTIMS]:
            played = companies(design(members, params, victim), ROUNDS[-1], seed)
            for rounds in ROUNDS:
                found = recovered_by(prepared, played[:rounds], again)
                yield _row(name, rounds, found, chosen=int(victim))


def _row(name: str, rounds: int, found: Recovered, chosen: int | None = None) -> Json:
    row: Json = {"server": name, "rounds": rounds, "chosen": chosen}
    for what, values in (("statistics", found.statistics), ("updates", found.updates)):
        worst = values.max() if chosen is None else values[chosen]
        row[what] = {"mean": round(float(values.mean()), 4), "worst": round(float(worst), 4)}
    return row


def imprints(prepared: Prepared) -> Iterator[Json]:
    """Rows of the second table, for one seed."""
    pinned = prepared.pinned.training
    everything = len(prepared.data.train_y)
    sixty = prepare(prepared.config.seed, SIXTY)
    for name, who, training, hows, samples in (
        ("one step on all data", prepared, FULL_BATCH, [ONE_STEP], everything),
        ("pinned task", prepared, pinned, [MANY_STEPS], everything),
        (f"pinned task, {SHARE} images each", prepared, pinned, [MANY_STEPS], SHARE),
        (f"pinned task, {SHARE} images each", sixty, pinned, [MANY_STEPS], SHARE),
        ("pinned task, ten totals", prepared, pinned, MOVED_ON, everything),
    ):
        found = imprint(who, training, hows, samples=samples)
        yield _imprinted(name, who, 0.0, found)
    for noise in NOISES:
        tried = [
            imprint(prepared, pinned, [how], samples=everything, noise=noise)
            for how in AGAINST_NOISE
        ]
        best = max(tried, key=lambda found: (found.images, found.median_psnr or 0))
        accuracy = accuracy_under_noise(prepared, noise, 30)
        yield _imprinted("pinned task, noise", prepared, noise, best) | {"accuracy": accuracy}
    yield {"training": "no attack, no noise", "accuracy": accuracy_under_noise(prepared, 0.0, 30)}


def _imprinted(name: str, prepared: Prepared, noise: float, found: Any) -> Json:
    return {
        "training": name,
        "clients": prepared.config.clients,
        "noise": noise,
        "images": found.images,
        "psnr": found.median_psnr and round(found.median_psnr, 1),
    }


def measure(seed: int) -> Json:
    """All three tables for one seed."""
    prepared = prepare(seed)
    run = WatchedRun.of(prepared)
    base = run.models[TRAINED]
    moved = moving_pixels(prepared, base, seed)(0, base, {})
    return {
        "seed": seed,
        "recovery": [*recoveries(run), *flagged(seed)],
        "pixels": {
            "constant": len(constant_pixels(prepared)),
            "move": PIXEL_MOVE,
            "update_change": update_change(prepared, base, moved),
        },
        "imprint": list(imprints(prepared)),
        "whose": [
            {"rounds": rounds, "sums": sums, "clear": clear}
            for rounds in (20, 60)
            for sums, clear in (attribution(run, rounds, TELLING),)
        ],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only rewrite the tables")
    if not parser.parse_args().render:
        made = []
        for seed in SEEDS:
            made.append(measure(seed))
            print(f"seed {seed}: done", file=sys.stderr, flush=True)
        OUT.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    made = json.loads(OUT.read_text(encoding="utf-8"))
    OUT.with_suffix(".md").write_text(render(made), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
