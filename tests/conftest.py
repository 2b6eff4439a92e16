"""Makes the modules beside this file (``rounds_kit``) importable from every test folder.

Coverage is measured where lines are run for the first time. Its tracer about doubles the time of
what computes, so what repeats the same lines is not traced: it is marked ``no_cover``.
"""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

# how long an example takes says how busy the machine is
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

REPEATING = ("adversary", "property", "reproductions", "vectors")
"""Folders whose tests play again, over and over, what tests/unit measures."""


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """A program that ran within a test logs to that test's standard error, which is closed by the
    time another test's server has something to say."""
    yield
    structlog.reset_defaults()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    seen = set()
    for item in items:
        found = getattr(item, "callspec", None)
        others = {} if found is None else {k: v for k, v in found.params.items() if k != "seed"}
        test = (item.nodeid.partition("[")[0], repr(others))
        another_seed = found is not None and "seed" in found.params and test in seen
        seen.add(test)
        if another_seed or item.path.relative_to(tests).parts[0] in REPEATING:
            item.add_marker(pytest.mark.no_cover)
