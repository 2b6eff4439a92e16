"""The model that FedGT's authors train on MNIST: logistic regression on its pixels."""

from __future__ import annotations

from torch import nn

from auror.learn.standardisation import Standardisation
from auror.learn.task import Task


class Logistic(Task):
    """28 × 28 grey pixels to ten classes; trained as our tasks are, so that tables compare."""

    input_shape = (1, 28, 28)
    classes = 10
    standardisation = Standardisation(255, (0.1307,), (0.3081,))  # of MNIST
    vectorised = True

    def build(self) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, self.classes))
