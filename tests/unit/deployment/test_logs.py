"""What the programs' logs say at which level."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from auror.deployment.logs import configure, logger


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("quiet", "verbose", "said"),
    [
        (False, False, ["end", "wrong"]),
        (False, True, ["phase", "end", "wrong"]),
        (True, False, ["wrong"]),
    ],
)
def test_phases_are_said_to_who_asks_for_them(
    quiet: bool, verbose: bool, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    configure("console", quiet=quiet, verbose=verbose)
    log = logger("here")
    log.debug("phase")
    log.info("end")
    log.warning("wrong")
    assert [line.split("]")[1].split()[0] for line in capsys.readouterr().err.splitlines()] == said


def test_what_peers_say_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    configure("console")
    logger("here").warning("what\x1b[2J", why="\x1b]0;title\x07", client=3)
    said = capsys.readouterr().err.rstrip("\n")
    assert said.isprintable()
    assert "what\\x1b[2J" in said


def test_what_peers_say_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("console")
    logger("here").warning("a proxy refuses\n2026-11-28 [info] model kept", why="a\nb", client=3)
    assert capsys.readouterr().err.count("\n") == 1
