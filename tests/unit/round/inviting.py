"""Invitations that differ from the honest one in one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from rounds_kit import DIM, Deployment

from auror.errors import Refusal
from auror.ids import ClientId
from auror.round.client.memory import ClientMemory
from auror.round.client.state import GaveUp
from auror.round.description import model_digest
from auror.round.label_rows import LabelRows
from auror.round.messages import RoundStart
from auror.round.plan import StatisticsPlan

VICTIM = ClientId(0)


def described(start: RoundStart, **changes: Any) -> RoundStart:
    return replace(start, description=replace(start.description, **changes))


def with_plan(deployment: Deployment, *parts: Any) -> RoundStart:
    start, plan = deployment.start(), StatisticsPlan(deployment.plan.dim, parts)
    return replace(described(start, plan=plan.digest()), plan=plan)


def label_row(value: int, *others: int) -> LabelRows:
    row = np.zeros((1, DIM), dtype=np.int64)
    row[0, : 1 + len(others)] = [value, *others]
    return LabelRows.from_matrix(0, row)


def says(found: GaveUp | None, refusal: Refusal, *words: str) -> None:
    assert found is not None
    assert found.refusal is refusal
    for word in words:
        assert word in found.detail, found.detail


def at(kit: Deployment, step: int, **more: Any) -> ClientMemory:
    """A memory of attempts at ``step`` of era 0."""
    known = {"model": model_digest(kit.model(step)).hex(), "attempts": 1, **more}
    return ClientMemory(counter=0, era=0, step=step, **known)
