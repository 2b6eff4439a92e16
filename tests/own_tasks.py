"""Tasks as people would write them: a small ResNet, rows, numbers instead of labels, BatchNorm."""

from __future__ import annotations

import torch
from torch import nn

from auror.learn.standardisation import Standardisation
from auror.learn.task import Task
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


class Rows(Task):
    """Rows of a table, with dropout."""

    input_shape = (6,)
    classes = 3

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


resnet = SmallResNet()
nothing = "a string"
