"""Which holders weights are computed for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from auror.crypto import shamir


def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The sets of holders that Lagrange weights are computed for from now on, in order."""
    asked: list[tuple[int, ...]] = []
    weights = shamir.lagrange_weights

    def watched(holders: Sequence[int]) -> tuple[int, ...]:
        asked.append(tuple(holders))
        return weights(holders)

    monkeypatch.setattr(shamir, "lagrange_weights", watched)
    return asked
