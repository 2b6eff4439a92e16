"""Draw a cohort as the defence decodes it from sums over five clients.

    python scripts/decoded_cohort.py docs/results/defence/decoded-cohort.svg
    python scripts/decoded_cohort.py docs/results/defence/decoded-signs.svg --data-dir DIR

30 clients of mnist5k, 9 of them label their 4s as 9s; with --data-dir, traffic signs of which 9
label 30 km/h as 50 km/h. One training in which nobody is excluded, recorded once under --cache.
What is drawn is the estimate that the verdict starts from.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auror.bench.defence.cells import SIGN_PAIRS, Cell, recorded, signs
from auror.bench.defence.figures import cohort_figure
from auror.bench.defence.full import decoded_view, recorded_in_full
from auror.bench.defence.rows import Bench
from auror.bench.defence.sign_figures import class_cohort_figure
from auror.bench.defence.signs import ROUNDS as SIGN_ROUNDS
from auror.bench.recordings import RecordedTraining
from auror.crypto.tags import number
from auror.defence.confusion import Readings, look, read
from auror.defence.decode import Design, decode_each
from auror.defence.features import FeatureKind
from auror.defence.ledger import Ledger, arrange
from auror.defence.spreads import predict
from auror.experiments.evidence import decoded_evidence
from auror.experiments.files import write_text
from auror.ids import ClientId
from auror.learn.signs import NAMES
from auror.round.public import draw_groups

SEED = 1000  # its attack is 4 → 9
SOURCE, TARGET = 4, 9
GROUP_SIZE, ROUNDS = 5, 20
SIGNS_SEED = 9200


def opened(made: RecordedTraining, seed: int, rounds: int) -> Ledger:
    """What a server would hold after ``rounds`` rounds of random groups."""
    rng = np.random.default_rng([seed, 0x7265])
    ledger = Ledger(made.blocks)
    everybody = tuple(ClientId(client) for client in range(made.clients))
    for at in range(rounds):
        groups = draw_groups(rng.bytes(24) + number(at), everybody, GROUP_SIZE)
        ledger.append(made.observation(at, groups))
    return ledger


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the SVG to write")
    parser.add_argument("--cache", type=Path, help="where the training is kept")
    parser.add_argument("--data-dir", type=Path, help="folder that holds gtsrb: draw signs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        cache = options.cache or Path(scratch)
        svg = digits(cache) if options.data_dir is None else of_signs(cache, options.data_dir)
    write_text(options.out, '<?xml version="1.0"?>\n' + svg)
    print(f"wrote {options.out}")


def of_signs(cache: Path, data_dir: Path) -> str:
    """Everybody's samples of every class that are labelled otherwise."""
    bench = Bench(cache, [SIGNS_SEED], False, print, data_dir)
    cell = signs(bench, 9, SIGN_ROUNDS, "iid-samples", SIGN_PAIRS[:1])
    made = decoded_view(recorded_in_full(cell, cache, SIGNS_SEED))
    ledger = opened(made, SIGNS_SEED, SIGN_ROUNDS)
    block = ledger.block(FeatureKind.CONFUSION)
    if block is None:
        raise SystemExit("no label confusion was recorded")
    seen_in = arrange(ledger, block, map(ClientId, range(made.clients)))
    shown = look(seen_in.means, seen_in.grams, seen_in.sizes)
    effects = class_effects(seen_in.groups, read(shown))
    source, target = map(int, SIGN_PAIRS[0].split(":"))
    told = f"{NAMES[source]} as {NAMES[target]}"
    title = f"decoded from {SIGN_ROUNDS} rounds of sums over {GROUP_SIZE}; 9 of 30 label {told}"
    return class_cohort_figure(effects, set(made.malicious), source, NAMES, title)


def class_effects(
    groups: Sequence[Sequence[Sequence[int]]], readings: Readings
) -> NDArray[np.float64]:
    """What every client shows of every class by itself, in honest spreads, (clients, classes): the
    estimate that ``Depleted`` readings are judged from."""
    clients = 1 + max(member for entry in groups for group in entry for member in group)
    each = decode_each(Design(groups, clients).gather(readings.depleted.values))
    spreads = predict(each, readings.classes).typical
    return np.column_stack(
        [
            np.linalg.solve(each.precision + np.eye(clients) / spread**2, shift) / spread
            for shift, spread in zip(each.shift, spreads, strict=True)
        ]
    )


def digits(cache: Path) -> str:
    """Everybody's label pairs."""
    cell = Cell("mnist5k", 30, 9, GROUP_SIZE, ROUNDS, ROUNDS)
    made = recorded(cell, cache, SEED)
    evidence = decoded_evidence(opened(made, SEED, ROUNDS), [])
    if evidence is None:
        raise SystemExit("no label confusion was recorded")
    told = f"decoded from {ROUNDS} rounds of sums over {GROUP_SIZE}; 9 of 30 label 4 as 9"
    return cohort_figure(evidence, made.malicious, (SOURCE, TARGET), told)


if __name__ == "__main__":
    main()
