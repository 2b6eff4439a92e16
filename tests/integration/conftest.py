"""How the programs start that tests start, and which of them are measured for coverage."""

import os
import subprocess
import sys
from collections.abc import Iterator

import forks
import kit
import pytest

MEASURED = {
    "test_endings.py", "test_run_comes_out.py", "test_sessions.py", "test_standing_server.py",
}  # fmt: skip
"""Their programs run every line that others run too. A tracer doubles the time of a program."""

EXECUTED = {
    "test_demo.py", "test_examples.py", "test_floods.py", "test_machine_limits.py",
    "test_own_task.py", "test_private_memory.py", "test_readme_page.py",
    "test_surroundings.py",
}  # fmt: skip
"""Their programs start as the README says; those of other files are forked where that works."""


@pytest.fixture(scope="session")
def _fork_server() -> forks.ForkServer:
    return forks.ForkServer({**os.environ, **kit.QUICK})


@pytest.fixture(scope="module", autouse=True)
def _programs(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if request.path.name not in MEASURED:
            patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        if request.path.name not in EXECUTED and sys.platform == "linux":
            server = request.getfixturevalue("_fork_server")
            patch.setattr(subprocess, "Popen", forks.popen(server))
        yield
