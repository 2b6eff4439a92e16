"""A server's credentials beside the operator's folder that they were copied from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from homes import TERMS

from auror.deployment.certs import create_deployment


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """``op`` is the operator's, of four clients, ``server`` the copy."""
    create_deployment(tmp_path / "op", 4, ["localhost"], TERMS)
    shutil.copytree(tmp_path / "op" / "server", tmp_path / "server")
    return tmp_path
