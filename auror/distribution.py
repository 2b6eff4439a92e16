"""Numbers drawn for load tests, written as a word: ``2``, ``uniform:0:5``, ``lognormal:2:0.5``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from auror.errors import ConfigError

USAGE = "2, uniform:LOW:HIGH, exponential:MEAN or lognormal:MEDIAN:SIGMA"
_Draw = Callable[[np.random.Generator, tuple[float, ...]], float]
_KINDS: Mapping[str, tuple[int, _Draw]] = {
    "constant": (1, lambda _, at: at[0]),
    "uniform": (2, lambda rng, at: float(rng.uniform(at[0], at[1]))),
    "exponential": (1, lambda rng, at: float(rng.exponential(at[0]))),
    "lognormal": (2, lambda rng, at: float(at[0] * np.exp(at[1] * rng.standard_normal()))),
}
"""How many numbers it takes, and one draw."""
SLOWEST_MBITS = 0.1
"""Of a link: slower ones are dead to the protocol (``auror.wire.alive``)."""
_LEAST: Mapping[str, float] = {"delay": 0.0, "bandwidth": SLOWEST_MBITS}
"""What load tests draw → the least number that may be drawn of it."""


def check_drawn(settings: object, prefix: str = "") -> None:
    """Whatever load tests draw can be drawn as ``settings`` says, field by field; "" stands for not
    drawn.

    Raises:
        ConfigError: naming the field, after ``prefix``.
    """
    for name, least in _LEAST.items():
        if text := getattr(settings, name):
            Distribution.parse(f"{prefix}{name}", text, least)


@dataclass(frozen=True)
class Distribution:
    """Of numbers that are not below zero."""

    kind: str
    at: tuple[float, ...]

    @classmethod
    def parse(cls, name: str, text: str, least: float = 0.0) -> Distribution:
        """``text`` of the setting ``name``. Single draws of exponential and lognormal may be below
        ``least``, their mean and median are not.

        Raises:
            ConfigError: not one of ``USAGE``, or with numbers below ``least``.
        """
        head, *rest = text.split(":")
        kind, words = (head, rest) if rest else ("constant", [head])
        try:
            at = tuple(float(word) for word in words)
        except ValueError:
            at = ()
        needed = _KINDS[kind][0] if kind in _KINDS else -1
        ordered = kind != "uniform" or at == tuple(sorted(at))
        lowest = (least, 0.0) if kind == "lognormal" else (least,) * len(at)  # the second: a spread
        bounded = all(low <= one < 1e9 for low, one in zip(lowest, at, strict=False))
        if len(at) != needed or not ordered or not bounded:
            raise ConfigError(f"{name} = {text!r}: choose {USAGE}, of numbers from {least:g} on")
        return cls(kind, at)

    def draw(self, rng: np.random.Generator) -> float:
        return _KINDS[self.kind][1](rng, self.at)
