"""Deployments that the tests of all phases share."""

from __future__ import annotations

import pytest
from rounds_kit import Deployment


@pytest.fixture(scope="module")
def nine() -> Deployment:
    """Three groups of three, t = Q = 6; totals hold six or nine."""
    return Deployment(9)


@pytest.fixture(scope="module")
def seven() -> Deployment:
    return Deployment(7)
