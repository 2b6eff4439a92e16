"""The symbolic knowledge of ``tests/property`` is used here too."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rounds_kit import PARAMS, Deployment

sys.path.insert(0, str(Path(__file__).parents[1] / "property"))


@pytest.fixture
def nine() -> Deployment:
    return Deployment(9, 3, replace(PARAMS, colluders=2))
