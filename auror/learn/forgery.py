"""What attackers send instead of what their training gave (docs/attacks.md).

A forging client knows its own honest update v_i, what it would gain by attacking, u_i, and,
being the strongest attacker that the literature knows, every honest client's update as well.
None of this touches the protocol: the forged update is quantised and masked like any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from auror.errors import ConfigError
from auror.ids import ClientId
from auror.learn.attack import Floats, Knowledge, Updates
from auror.learn.min_max import MinMax, MinSum

FORGERY_USAGE = (
    "sleep:ROUNDS, scale:FACTOR, gap:ALPHA, few:FEATURES, null, sign, alie, ipm:FACTOR, min-max,"
    " min-sum"
)


@dataclass(frozen=True, slots=True)
class Sleep:
    """Behave for ``rounds`` rounds (restarts included), then attack."""

    rounds: int
    needs_payload = True

    def __str__(self) -> str:
        return f"sleep:{self.rounds}"

    def forge(self, known: Knowledge) -> Updates:
        return known.own if known.counter < self.rounds else known.attacking


@dataclass(frozen=True, slots=True)
class Scale:
    """Norm inflation: ``factor`` times the attacking update."""

    factor: float
    needs_payload = True

    def __str__(self) -> str:
        return f"scale:{self.factor!r}"

    def forge(self, known: Knowledge) -> Updates:
        return {c: np.float32(self.factor) * u for c, u in known.attacking.items()}


@dataclass(frozen=True, slots=True)
class Gap:
    """Keep AUROR's centre distance below ``alpha`` in every parameter: all forgers shrink their
    deviation u_i − v_i by one factor, so that its mean is at most ``alpha`` anywhere."""

    alpha: float
    needs_payload = True

    def __str__(self) -> str:
        return f"gap:{self.alpha!r}"

    def forge(self, known: Knowledge) -> Updates:
        deviation = _deviation(known)
        widest = float(np.abs(_mean(deviation)).max())
        shrink = np.float32(min(1.0, self.alpha / widest if widest > 0 else 1.0))
        return {c: known.own[c] + shrink * deviation[c] for c in deviation}


@dataclass(frozen=True, slots=True)
class Few:
    """Deviate in ``features`` parameters only, those in which the forgers' mean deviation is
    largest: below τ of the indicative features nobody is flagged by the published algorithm."""

    features: int
    needs_payload = True

    def __str__(self) -> str:
        return f"few:{self.features}"

    def forge(self, known: Knowledge) -> Updates:
        deviation = _deviation(known)
        size = np.abs(_mean(deviation))
        chosen = np.argsort(-size, kind="stable")[: self.features]
        forged = {}
        for client, part in deviation.items():
            forged[client] = known.own[client].copy()
            forged[client][chosen] += part[chosen]
        return forged


@dataclass(frozen=True, slots=True)
class Null:
    """Hide in the null space of what is known of P before the upload: the deviation of the
    output layer's weights loses its part in the row space of M. The challenge rows of P are
    drawn after the upload, so nobody can hide from those."""

    needs_payload = True

    def __str__(self) -> str:
        return "null"

    def forge(self, known: Knowledge) -> Updates:
        output = known.output
        if output is None:
            raise ConfigError("attack: null hides from what is read of an output layer: none here")
        start, stop = output.offset, output.offset + output.classes * output.hidden
        forged = {}
        for client, part in _deviation(known).items():
            hiding = part.copy()
            if known.basis is None:
                hiding[start : start + output.entries] = 0.0  # weights and biases are opened
            else:
                weights = output.weights(hiding).astype(np.float64)
                seen = np.linalg.pinv(known.basis) @ known.basis  # projector (h, h)
                hiding[start:stop] = (weights - weights @ seen).ravel()
            forged[client] = known.own[client] + hiding
        return forged


@dataclass(frozen=True, slots=True)
class Sign:
    """Sign flip of the client's *own* honest update, −v_i (ByzFL negates the honest mean)."""

    needs_payload = False

    def __str__(self) -> str:
        return "sign"

    def forge(self, known: Knowledge) -> Updates:
        return {client: -update for client, update in known.own.items()}


@dataclass(frozen=True, slots=True)
class Alie:
    """A little is enough (Baruch et al. 2019): all forgers send μ + zσ of the honest updates,
    with z = Φ⁻¹((n − m − s)/(n − m)), s = ⌊n/2 + 1⌋ − m for n clients, m of them forgers."""

    needs_payload = False

    def __str__(self) -> str:
        return "alie"

    def forge(self, known: Knowledge) -> Updates:
        malicious, honest = len(known.own), len(known.honest)
        supporters = (malicious + honest) // 2 + 1 - malicious
        share = (honest - supporters) / honest
        z = NormalDist().inv_cdf(min(max(share, 1e-6), 1.0 - 1e-6))
        sent = known.honest.mean(axis=0) + np.float32(z) * known.honest.std(axis=0)
        return {client: sent.astype(np.float32) for client in known.own}


@dataclass(frozen=True, slots=True)
class Ipm:
    """Inner product manipulation (Xie et al. 2020): all forgers send −``factor``·μ."""

    factor: float
    needs_payload = False

    def __str__(self) -> str:
        return f"ipm:{self.factor!r}"

    def forge(self, known: Knowledge) -> Updates:
        sent = np.float32(-self.factor) * known.honest.mean(axis=0)
        return {client: sent.astype(np.float32) for client in known.own}


Forgery = Sleep | Scale | Gap | Few | Null | Sign | Alie | Ipm | MinMax | MinSum


def parse_forgery(text: str) -> Forgery | None:
    """Read a forgery as ``str`` writes it; None when ``text`` names none.

    Raises:
        ConfigError: its number is missing, superfluous or out of range.
    """
    word, colon, number = text.partition(":")
    plain: dict[str, Forgery] = {
        str(forgery): forgery for forgery in (Null(), Sign(), Alie(), MinMax(), MinSum())
    }
    if word in plain:
        if colon:
            raise ConfigError(f"attack: {word} takes no number, not {text!r}")
        return plain[word]
    if word not in {"sleep", "scale", "gap", "few", "ipm"}:
        return None
    try:
        value = float(number)
    except ValueError as error:
        raise ConfigError(f"attack: {word} needs a number, as in {FORGERY_USAGE}") from error
    whole = word in {"sleep", "few"}
    if not (math.isfinite(value) and value > 0) or (whole and value != int(value)):
        kind = "whole number above 0" if whole else "number above 0"
        raise ConfigError(f"attack: {word} needs a {kind}, not {number}")
    if word == "sleep":
        return Sleep(int(value))
    if word == "few":
        return Few(int(value))
    if word == "scale":
        return Scale(value)
    return Gap(value) if word == "gap" else Ipm(value)


def _deviation(known: Knowledge) -> dict[ClientId, Floats]:
    return {client: u - known.own[client] for client, u in known.attacking.items()}


def _mean(updates: Updates) -> Floats:
    mean: Floats = np.mean(list(updates.values()), axis=0)
    return mean
