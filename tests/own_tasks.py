"""Tasks as people would write them: a small ResNet, rows, numbers instead of labels, BatchNorm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from auror.learn.standardisation import Standardisation
from auror.learn.task import Array, ServerData, Task
from auror.learn.training import TrainingParams


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(2, channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(2, channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.body(x))


class SmallResNet(Task):
    """Two-channel 16 × 16 images, width 8; its head is no attribute called output."""

    input_shape = (2, 16, 16)
    classes = 4
    standardisation = Standardisation(255, (0.5, 0.25), (0.3, 0.2))
    training = TrainingParams(epochs=2, batch_size=16, learning_rate=0.1)

    def build(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(2, 8, 3, padding=1),
            Block(8),
            nn.AvgPool2d(2),
            Block(8),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(32, 4),
            nn.LogSoftmax(1),
        )

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return nn.functional.nll_loss(outputs, targets)


class Sites(SmallResNet):
    """The same with files that it loads itself: site-0.npz, site-1.npz, … and server.npz."""

    def client_data(self, path: Path | None, client: int) -> tuple[Array, Array]:
        assert path is not None
        with np.load(path / f"site-{client}.npz") as file:
            return file["x"], file["y"]

    def server_data(self, path: Path | None) -> ServerData:
        assert path is not None
        with np.load(path / "server.npz") as file:
            x, y = file["x"], file["y"]
        return ServerData(x[40:], y[40:], clean_x=x[:40], clean_y=y[:40])


class TenPlaces(Sites):
    """Ten classes, so that the verdict may judge every family of readings."""

    classes = 10

    def build(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(2, 8, 3, padding=1),
            nn.ReLU(),
            nn.AvgPool2d(4),
            nn.Flatten(),
            nn.Linear(128, 16),
            nn.ReLU(),
            nn.Linear(16, 10),
            nn.LogSoftmax(1),
        )

    def server_data(self, path: Path | None) -> ServerData:
        assert path is not None
        with np.load(path / "server.npz") as file:
            x, y = file["x"], file["y"]
        return ServerData(x[200:], y[200:], clean_x=x[:200], clean_y=y[:200])


class Rows(Task):
    """Rows of a table, with dropout."""

    input_shape = (6,)
    classes = 3
    standardisation = Standardisation(mean=1.0, deviation=2.0)

    def build(self) -> nn.Module:
        return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, 3))


class Regression(Task):
    """A number per row; nobody has labels."""

    input_shape = (5,)
    training = TrainingParams(learning_rate=0.05)

    def build(self) -> nn.Module:
        return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))

    def metrics(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        error = (outputs.reshape(targets.shape) - targets).abs()
        return {"mean_error": float(error.mean()), "largest_error": float(error.max())}


class Normalised(Task):
    """BatchNorm: running statistics travel, the counter of batches does not."""

    input_shape = (1, 8, 8)
    classes = 10

    def build(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(144, 10, bias=False),
        )


class FrozenBody(Task):
    """Only the head is trained; a buffer outside the state dict is a constant."""

    input_shape = (1, 8, 8)
    classes = 10

    def build(self) -> nn.Module:
        body = nn.Linear(64, 16)
        body.requires_grad_(False)
        body.register_buffer("scale", torch.ones(3), persistent=False)
        return nn.Sequential(nn.Flatten(), body, nn.ReLU(), nn.Linear(16, 10))


def images(count: int, seed: int) -> tuple[Array, Array]:
    """Two-channel 16 × 16 images of four classes, uint8: a bright bar, its place is the class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, count)
    x = rng.integers(0, 120, (count, 2, 16, 16))
    for sample, label in enumerate(y):
        x[sample, label % 2, 3 + 5 * (label // 2) : 6 + 5 * (label // 2)] += 100
    return x.astype(np.uint8), y


def places(count: int, seed: int) -> tuple[Array, Array]:
    """Two-channel 16 × 16 images of ten classes, uint8: a bright bar in one of twelve places."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 10, count)
    x = rng.integers(0, 120, (count, 2, 16, 16))
    for sample, label in enumerate(y):
        row, column = 1 + 5 * (label // 2 % 3), 8 * (label // 6)
        x[sample, label % 2, row : row + 3, column : column + 8] += 100
    return x.astype(np.uint8), y


def rows(count: int, seed: int) -> tuple[Array, Array]:
    """Rows of six numbers around one of three middles."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    middles = 2.5 * np.eye(3, 6) + 1
    return (middles[y] + rng.normal(size=(count, 6))).astype(np.float32), y


def amounts(count: int, seed: int) -> tuple[Array, Array]:
    """Rows of five numbers, and one that follows from them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 5)).astype(np.float32)
    return x, (x @ np.array([1, -2, 0.5, 0, 1]) + 0.1 * rng.normal(size=count)).astype(np.float32)
