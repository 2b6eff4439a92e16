"""What an excluded client tells its user, and when it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from auror_client.driver import ClientEnding
from auror_client.exclusion import check_excluded
from line import ME, Bench, played
from structlog.testing import capture_logs

from auror.deployment.exclusion_words import in_words
from auror.errors import Excluded
from auror.ids import NO_ROUND, ClientId
from auror.round.messages import Exclusion, ExclusionCause

FLAG = Exclusion(ExclusionCause.FLAG, 4, 9, 12.34, 8.1, rounds=14, audits=3)
PROOF = Exclusion(ExclusionCause.PROOF)


@pytest.mark.parametrize(
    ("exclusion", "task", "says"),
    [
        (FLAG, b"{}", "its updates move class 4 towards class 9 (strength 12.3, 8.1 needed; 14"),
        (FLAG, b"{}", "14 rounds, 3 of them audited); check its samples of class 4 for labels"),
        (FLAG, b'{"classes": ["a","b","c","d","stop"]}', "class 4 (stop) towards class 9 ("),
        (FLAG, b'{"classes": 10}', "move class 4 towards class 9"),
        (Exclusion(ExclusionCause.FLAG, None, 9), b"{}", "move other classes towards class 9"),
        (Exclusion(ExclusionCause.FLAG, 4), b"{}", "move class 4 towards others"),
        (Exclusion(ExclusionCause.FLAG), b"[]", "its updates stand apart from those of the others"),
        (Exclusion(ExclusionCause.EARLIER_FLAG), b"{}", "it was flagged in a training before"),
        (PROOF, b"{}", "what it sent contradicts what it signed"),
    ],
)
def test_the_line_says_what_to_check(exclusion: Exclusion, task: bytes, says: str) -> None:
    line = in_words(ClientId(7), exclusion, task)
    assert line.startswith("client 7 is excluded for good: ")
    assert says in line
    assert "ask the operator" in line


def test_one_excluded_client_of_a_process_is_enough() -> None:
    check_excluded([])
    with pytest.raises(Excluded, match=r"^client 3 is out$") as caught:
        check_excluded([(ClientId(3), "client 3 is out")])
    assert caught.value.exit_code == 10
    with pytest.raises(Excluded, match=r"client 3 is out .and 1 more of this process"):
        check_excluded([(ClientId(3), "client 3 is out"), (ClientId(5), "client 5 is out")])


def test_where_a_model_is_promised_it_says_so_and_waits_for_the_model(
    tmp_path: Path,
) -> None:
    async def scene(bench: Bench) -> None:
        line = bench.line()
        running = asyncio.create_task(bench.session.run())
        line.tell(NO_ROUND, FLAG)
        line.tell(NO_ROUND, FLAG)  # over another stream it would be told again
        line.goodbye()
        assert await running is ClientEnding.FINISHED
        assert bench.session.answering.excluded == in_words(ME, FLAG, bench.house.policy.task)

    with capture_logs() as logged:
        played(tmp_path, scene)
    said = [entry for entry in logged if "is excluded for good" in entry["event"]]
    assert [entry["log_level"] for entry in said] == ["error"]


def test_where_nothing_is_left_to_wait_for_it_ends_at_once(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.model_folder = None
        session, line = bench.started(), bench.line()
        line.tell(NO_ROUND, PROOF)
        with pytest.raises(Excluded, match="client 0 is excluded for good"):
            await session.run()

    played(tmp_path, scene)
