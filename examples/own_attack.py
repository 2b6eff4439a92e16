"""An attack of your own, against AUROR: two ways to write one.

python own_attack.py
auror simulate --attack own_attack:shift_labels --dataset digits
"""

from collections.abc import Mapping

import numpy as np

from auror import Attack, Knowledge, simulate


def shift_labels(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple:
    """What a malicious client trains on: half of its labels are the next class."""
    labels = y.copy()
    chosen = rng.random(len(y)) < 0.5
    labels[chosen] = (labels[chosen] + 1) % 10
    return x, labels


class Push(Attack):
    """What a malicious client sends: its honest update, and a push against everybody's mean.

    An attack that wants one class called another says so: ``aim = auror.Aim(source=4, target=9)``.
    """

    def forge(self, known: Knowledge) -> Mapping[int, np.ndarray]:
        push = 4 * known.honest.mean(axis=0)
        return {client: own - push for client, own in known.own.items()}


def main() -> None:
    for attack in (shift_labels, Push):
        result = simulate(
            attack=attack, dataset="digits", clients=12, malicious=3, rounds=12, group_size=2,
            flag_small_cohorts=True,  # twelve are too few for the stated error rate
            aggregation="plain", runs="undefended,defended",
        )  # fmt: skip
        found = result.summary()
        print(f"{result.config.attack}")
        for run in ("undefended", "defended"):
            print(f"  {run:<11}accuracy {found[run]['accuracy']:.1%}")
        print(f"  malicious {found['malicious']}, flagged {found['flagged']}")


if __name__ == "__main__":
    main()
