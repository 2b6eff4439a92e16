"""Draw a cohort as the defence decodes it from sums over five clients.

    python scripts/decoded_cohort.py docs/results/defence/decoded-cohort.svg

30 clients of mnist5k, 9 of them label their 4s as 9s; one training in which nobody is excluded,
recorded once under --cache. What is drawn is the estimate that the verdict starts from.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from auror.bench.defence.cells import Cell, recorded
from auror.bench.defence.figures import cohort_figure
from auror.bench.recordings import RecordedTraining
from auror.crypto.tags import number
from auror.defence.ledger import Ledger, RoundObservation
from auror.experiments.evidence import decoded_evidence
from auror.experiments.files import write_text
from auror.ids import ClientId
from auror.round.public import draw_groups

SEED = 1000  # its attack is 4 → 9
SOURCE, TARGET = 4, 9
GROUP_SIZE, ROUNDS = 5, 20


def opened(made: RecordedTraining, seed: int) -> Ledger:
    """What a server would hold after ``ROUNDS`` rounds of random groups."""
    rng = np.random.default_rng([seed, 0x7265])
    ledger = Ledger(made.blocks)
    everybody = tuple(ClientId(client) for client in range(made.clients))
    for at in range(ROUNDS):
        groups = draw_groups(rng.bytes(24) + number(at), everybody, GROUP_SIZE)
        ledger.append(RoundObservation(at, 0, made.observe(at, groups), made.plans[at].gram))
    return ledger


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the SVG to write")
    parser.add_argument("--cache", type=Path, help="where the training is kept")
    options = parser.parse_args()
    cell = Cell("mnist5k", 30, 9, GROUP_SIZE, ROUNDS, ROUNDS)
    with tempfile.TemporaryDirectory() as scratch:
        made = recorded(cell, options.cache or Path(scratch), SEED)
    evidence = decoded_evidence(opened(made, SEED), [])
    if evidence is None:
        raise SystemExit("no label confusion was recorded")
    told = f"decoded from {ROUNDS} rounds of sums over {GROUP_SIZE}; 9 of 30 label 4 as 9"
    svg = cohort_figure(evidence, made.malicious, (SOURCE, TARGET), told)
    write_text(options.out, '<?xml version="1.0"?>\n' + svg)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
