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


def far_groups(ledger: Ledger, invited: tuple[int, ...]) -> PlainVerdict:
    """Accuses whoever sits in groups far from the others in more than four of five rounds."""
    seen: dict[int, list[bool]] = {client: [] for client in invited}
    for observed in ledger.rounds:
        means = np.array([group.mean for group in observed.groups])
        far = np.linalg.norm(means - np.median(means, axis=0), axis=1)
        for group, strange in zip(observed.groups, far > 2 * np.median(far), strict=True):
            for client in group.members:
                seen.setdefault(client, []).append(bool(strange))
    scores = {client: float(np.mean(found)) if found else 0.0 for client, found in seen.items()}
    accused = {c for c, score in scores.items() if len(seen[c]) >= 5 and score > 0.8}
    return PlainVerdict(frozenset(accused), scores)


def main() -> None:
    setting = {
        "dataset": "digits", "clients": 10, "malicious": 2, "attack": "flip:4:9+scale:10.0",
        "rounds": 12, "runs": "defended",
    }  # fmt: skip
    ruled = simulate(rule=clipped_mean, **setting).summary()
    print(f"{ruled['rule']}: accuracy {ruled['defended']['accuracy']:.1%}, privacy: none")
    watched = simulate(detector=far_groups, group_size=2, aggregation="plain", **setting).summary()
    print(f"far_groups: accuracy {watched['defended']['accuracy']:.1%}")
    print(f"  malicious {watched['malicious']}, flagged {watched['flagged']}")
    print(f"  updates recovered by the server: {watched['privacy']['update_recovery']:.0%}")


if __name__ == "__main__":
    main()
