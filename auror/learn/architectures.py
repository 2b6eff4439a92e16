"""The architectures that come along: an MLP, a LeNet and a ResNet-18, for samples of any shape."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from auror.errors import ConfigError
from auror.learn.standardisation import RAW, Standardisation
from auror.learn.task import Task

_CNN_CHANNELS = (6, 16)  # LeCun et al. 1998, figure 2: C1 and C3
_COLOUR_CHANNELS = (12, 32)  # docs/signs.md
_CNN_DENSE = 120  # C5
_CNN_SMALLEST = 4  # two halvings must leave at least one pixel
_PER_GROUP = 16  # Wu and He 2018, table 3: the best number of channels per group


class Network(nn.Module):
    """``features`` maps a batch (N, …) to penultimate activations (N, h); ``output``, linear,
    maps those to logits (N, classes)."""

    def __init__(self, features: nn.Sequential, output: nn.Linear) -> None:
        super().__init__()
        self.features = features
        self.output = output

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.output(self.features(x))
        return logits


@dataclass(frozen=True)
class Labelled(Task):
    """A task that takes shape, classes and standardisation from its data."""

    input_shape: tuple[int, ...]
    classes: int
    standardisation: Standardisation = RAW
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    word: ClassVar[str]
    vectorised = True

    def __post_init__(self) -> None:
        self.check()
        for setting, value in self.settings.items():
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"{self}: {setting} must be at least 1, not {value}")

    @property
    def settings(self) -> dict[str, int]:
        """What a name may set, and to what it is set."""
        return {name: getattr(self, name) for name in settings_of(type(self))}

    @property
    def reference(self) -> str:
        default = {field.name: field.default for field in dataclasses.fields(self)}
        given = [f"{k}={v}" for k, v in self.settings.items() if v != default[k]]
        return f"{self.word}:{','.join(given)}" if given else self.word

    def _need_images(self, smallest: int) -> None:
        if len(self.input_shape) != 3:
            raise ConfigError(f"{self} needs images (C, H, W), not {self.input_shape}: use mlp")
        if min(self.input_shape[1:]) < smallest:
            raise ConfigError(
                f"{self} needs images of at least {smallest}x{smallest} pixels, not"
                f" {self.input_shape[1]}x{self.input_shape[2]}; use mlp"
            )


_OF_DATA = frozenset(field.name for field in dataclasses.fields(Labelled))


@dataclass(frozen=True)
class Mlp(Labelled):
    """One hidden layer of ``hidden`` units, over images or rows."""

    word = "mlp"
    hidden: int = 64

    def build(self) -> Network:
        output = nn.Linear(self.hidden, self.classes)
        hidden = nn.Linear(self.inputs, self.hidden)
        return Network(nn.Sequential(nn.Flatten(), hidden, nn.ReLU()), output)


@dataclass(frozen=True)
class Cnn(Labelled):
    """LeNet-style, for images; ``hidden``: width of the penultimate layer.

    Images of several channels get twice the filters and maximum pooling, and each of their channels
    is brought to mean 0 and deviation 1 over its pixels: a photograph's light says nothing.
    """

    word = "cnn"
    hidden: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need_images(_CNN_SMALLEST)

    def build(self) -> Network:
        output = nn.Linear(self.hidden, self.classes)
        channels, height, width = self.input_shape
        colour = channels > 1
        first, second = _COLOUR_CHANNELS if colour else _CNN_CHANNELS
        # Average pooling as in LeNet. Windows do not overlap, so either gradient repeats on CUDA.
        pool = nn.MaxPool2d if colour else nn.AvgPool2d
        light = [nn.GroupNorm(channels, channels, affine=False)] if colour else []
        features = nn.Sequential(
            *light,
            nn.Conv2d(channels, first, kernel_size=5, padding=2),
            nn.ReLU(),
            pool(2),
            nn.Conv2d(first, second, kernel_size=5, padding=2),
            nn.ReLU(),
            pool(2),
            nn.Flatten(),
            nn.Linear(second * (height // 4) * (width // 4), _CNN_DENSE),
            nn.ReLU(),
            nn.Linear(_CNN_DENSE, self.hidden),
            nn.ReLU(),
        )
        _initialise(features)
        return Network(features, output)


@dataclass(frozen=True)
class ResNet18(Labelled):
    """He et al. 2016 with GroupNorm, for small images (3 × 3 stem without pooling): four stages of
    two blocks with ``width``, 2·, 4· and 8·``width`` channels."""

    word = "resnet18"
    width: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need_images(1)

    def build(self) -> Network:
        output = nn.Linear(8 * self.width, self.classes)
        channels = self.width
        layers: list[nn.Module] = [_conv(self.input_shape[0], channels), _norm(channels), nn.ReLU()]
        for stage in range(4):
            wider = self.width << stage
            layers += [_Block(channels, wider, 1 if stage == 0 else 2), _Block(wider, wider)]
            channels = wider
        features = nn.Sequential(*layers, _Pool())
        _initialise(features)
        return Network(features, output)


class _Block(nn.Module):
    """Two convolutions and the way around them."""

    def __init__(self, channels: int, wider: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(channels, wider, stride),
            _norm(wider),
            nn.ReLU(),
            _conv(wider, wider),
            _norm(wider),
        )
        same = channels == wider and stride == 1
        self.around = nn.Identity() if same else _conv(channels, wider, stride, kernel=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.around(x))


class _Pool(nn.Module):
    """Global average, (N, C, H, W) to (N, C)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(-2, -1))


def _conv(channels: int, wider: int, stride: int = 1, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(channels, wider, kernel, stride, padding=kernel // 2, bias=False)


def _norm(channels: int) -> nn.GroupNorm:
    groups = channels // _PER_GROUP if channels % _PER_GROUP == 0 else 1
    return nn.GroupNorm(groups, channels)


def _initialise(features: nn.Module) -> None:
    """He et al. 2015: with torch's default the signal fades over several ReLUs, and the few dozen
    local steps of a run are spent on a plateau."""
    for layer in features.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


ARCHITECTURES: dict[str, type[Labelled]] = {kind.word: kind for kind in (Mlp, Cnn, ResNet18)}
"""By name; each takes input_shape, classes, standardisation and settings of its own."""


def settings_of(kind: type[Labelled]) -> list[str]:
    """What a name may set."""
    names = (field.name for field in dataclasses.fields(kind))
    return [name for name in names if name not in _OF_DATA]
