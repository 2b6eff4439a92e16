"""Your own samples, without code: images in an npz file, rows of a table in a CSV file.

    python own_data.py
    auror simulate --data images.npz --task cnn --clients 6 --malicious 1

x is in raw units; shape, classes and scale are found here, and signed in a deployment.
"""

import numpy as np
from sklearn.datasets import load_digits

from auror import simulate


def write_images() -> str:
    """Two channels, 8 × 8: a digit and how it differs from its neighbour pixels."""
    x, y = load_digits(return_X_y=True)
    images = x.reshape(-1, 8, 8) * (255 / 16)
    edges = np.abs(np.diff(images, axis=2, prepend=0))
    np.savez("images.npz", x=np.stack([images, edges], axis=1).astype(np.uint8), y=y)
    return "images.npz"


def write_table() -> str:
    """Ink in every row and column of a digit: sixteen columns, and the last one is the label."""
    x, y = load_digits(return_X_y=True)
    images = x.reshape(-1, 8, 8)
    ink = np.concatenate([images.mean(axis=1), images.mean(axis=2)], axis=1)
    header = ",".join([*(f"ink{column}" for column in range(ink.shape[1])), "digit"])
    rows = np.column_stack([ink.round(3).astype(str), y])
    np.savetxt("table.csv", rows, fmt="%s", delimiter=",", header=header, comments="")
    return "table.csv"


def main() -> None:
    setting = {"clients": 15, "malicious": 3, "colluders": 3, "rounds": 24, "group_size": 3}
    for data, task in ((write_images(), "cnn"), (write_table(), "mlp")):
        found = simulate(
            data=data, task=task, attack="flip:4:9", aggregation="plain", runs="defended", **setting
        ).summary()
        print(f"{data}: accuracy {found['defended']['accuracy']:.1%}")
        print(f"  malicious {found['malicious']}, flagged {found['flagged']}")


if __name__ == "__main__":
    main()
