"""A model of your own: any torch module, with its loss and what its samples are.

    python own_model.py
    auror simulate --task own_model:Residual --dataset digits

A deployment trains it with `auror certs --task own_model:Residual` and the same setting on server
and clients; nobody imports code that the own configuration does not name.
"""

import torch
from torch import nn

from auror import Standardisation, Task, simulate


class Block(nn.Module):
    """Two convolutions with a way around them. GroupNorm keeps no statistics of the samples."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.norm = nn.GroupNorm(2, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = torch.relu(self.norm(self.first(x)))
        return torch.relu(x + self.second(inner))


class Residual(Task):
    """Ten digits of 8 × 8 pixels from 0 to 16. The output layer is found: the last Linear."""

    input_shape = (1, 8, 8)
    classes = 10
    standardisation = Standardisation(scale=16, mean=0.3053, deviation=0.3761)
    vectorised = True

    def build(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), Block(8), nn.AvgPool2d(2),
            nn.Flatten(), nn.Linear(8 * 4 * 4, 32), nn.ReLU(), nn.Linear(32, 10),
        )  # fmt: skip


def main() -> None:
    found = simulate(
        task="own_model:Residual", dataset="digits", clients=8, malicious=2, colluders=2,
        flag_small_cohorts=True,  # eight are too few for the stated error rate
        rounds=14, group_size=2, aggregation="plain", runs="defended",
    ).summary()  # fmt: skip
    print(f"accuracy {found['defended']['accuracy']:.1%}")
    print(f"  malicious {found['malicious']}, flagged {found['flagged']}")


if __name__ == "__main__":
    main()
