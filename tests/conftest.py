"""Makes the modules beside this file (``rounds_kit``) importable from every test folder.

Coverage is measured where lines are run for the first time. Its tracer more than doubles the time
of what computes, so what repeats it many times over is marked ``no_cover``.
"""

from pathlib import Path

import pytest

REPEATING = ("adversary", "property", "reproductions", "vectors")
"""Folders whose tests play again, over and over, what tests/unit measures."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    for item in items:
        if item.path.relative_to(tests).parts[0] in REPEATING:
            item.add_marker(pytest.mark.no_cover)
