"""An aggregation rule of your own in AUROR's place, and a detector of your own inside it.

    python own_rule.py
    auror simulate --rule own_rule:clipped_mean --dataset digits --attack sign

A rule sees every client's update, so there is no privacy; a detector sees group sums only.
"""

import numpy as np

from auror import Aggregate, Ledger, PlainVerdict, simulate


def clipped_mean(updates: np.ndarray, root: np.ndarray | None) -> Aggregate:
    """The mean of updates (clients, d), none longer than the median one."""
    norms = np.linalg.norm(updates, axis=1)
    weights = np.minimum(1.0, np.median(norms) / norms)
    return Aggregate(change=weights @ updates / len(updates), weights=weights)


def farthest(ledger: Ledger, invited: tuple[int, ...]) -> PlainVerdict:
    """Accuses whoever sits most often in the group that lies farthest from the others' mean."""
    seen = dict.fromkeys(invited, 0)
    for observed in ledger.rounds:
        means = np.array([group.mean for group in observed.groups])
        far = np.linalg.norm(means - means.mean(axis=0), axis=1).argmax()
        for client in observed.groups[far].members:
            seen[client] = seen.get(client, 0) + 1
    rounds = len(ledger.rounds)
    scores = {client: count / max(rounds, 1) for client, count in seen.items()}
    return PlainVerdict(frozenset(c for c, s in scores.items() if rounds >= 8 and s > 0.6), scores)


def main() -> None:
    setting = {
        "dataset": "digits", "clients": 10, "malicious": 2, "attack": "flip:4:9+scale:10.0",
        "rounds": 12, "runs": "defended",
    }  # fmt: skip
    ruled = simulate(rule=clipped_mean, **setting).summary()
    print(f"{ruled['rule']}: accuracy {ruled['defended']['accuracy']:.1%}, privacy: none")
    watched = simulate(detector=farthest, group_size=2, aggregation="plain", **setting).summary()
    print(f"farthest: accuracy {watched['defended']['accuracy']:.1%}")
    print(f"  malicious {watched['malicious']}, flagged {watched['flagged']}")
    print(f"  updates recovered by the server: {watched['privacy']['update_recovery']:.0%}")


if __name__ == "__main__":
    main()
