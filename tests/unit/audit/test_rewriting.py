"""An audit whose chain was written anew with the server's own key: what clients signed stands."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from campaign_kit import Scripted
from tampering import FLAGS, Edit, broken, checked, edited, rewritten, rows_of, signed

from auror.audit.broken import AuditBroken
from auror.audit.verify import verify_audit
from auror.deployment import run_seals

# With the server's key --------------------------------------------------------------------------


def swap(values: dict[str, str]) -> None:
    one, other, *_ = sorted(values)
    values[one], values[other] = values[other], values[one]


def swap_keys(messages: dict[str, Any]) -> None:
    one, other, *_ = sorted(messages["keys"])
    keys = messages["keys"]
    keys[one][-1], keys[other][-1] = keys[other][-1], keys[one][-1]


def regroup(record: dict[str, Any]) -> None:
    first, second, *_ = record["groups"]
    first[0], second[0] = second[0], first[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e, _: swap_keys(e["messages"]), "did not sign its keys"),
        (lambda e, _: swap(e["messages"]["consistency"]), "did not sign the uploads (U3)"),
        (lambda e, _: swap(e["messages"]["views"]), "did not sign its view (h)"),
        (lambda e, _: swap(e["messages"]["agreed"]), "did not sign the accepted set (A)"),
        (lambda e, _: swap(e["messages"]["digests"]), "did not sign the uploads (U3)"),
        (lambda e, _: swap(e["messages"]["randomness"]), "groups do not follow from what clients"),
        (lambda e, _: e["messages"].update(consistency={}), "0 signatures of a quorum of"),
        (lambda e, _: e["messages"].update(agreed={}), "0 signatures of a quorum of"),
        (lambda e, _: e["messages"]["description"].update(step=9), "did not sign its keys"),
        (lambda e, _: e["messages"]["plan"].update(dim=23), "plan of statistics is not the one"),
        (lambda e, _: e.update(messages=None), "what clients signed is missing"),
        (lambda _, r: regroup(r), "groups do not follow from what clients signed"),
        (lambda _, r: r["accepted"].pop(), "accepts another set than clients signed"),
        (lambda _, r: r["uploaded"].pop(), "other uploads than clients signed"),
        (lambda _, r: r.update(watched=False), "whether it was watched does not follow"),
        (lambda _, r: r.update(flagged=[7]), "client 7 is flagged, and no verdict accuses it"),
        (lambda e, _: e.update(judged=[1, list(range(9))]), "its verdict is not what version"),
        (lambda e, _: e.update(judged=None), "nothing says what its verdict is of"),
        (lambda e, _: e.update(judged=[99, []]), "its verdict is of evidence that was not there"),
    ],
)
def test_what_clients_signed_and_evidence_says_stands_against_the_servers_key(
    played: Path, tmp_path: Path, change: Callable[..., Any], said: str
) -> None:
    assert said in broken_at_round_3(played, tmp_path, rewritten(2, change), said)


def broken_at_round_3(played: Path, folder: Path, edit: Edit, said: str) -> str:
    detector = Judging() if "its verdict" in said else Scripted(FLAGS)
    copy = edited(played, folder, edit)
    with pytest.raises(AuditBroken, match=r"entry \d \(round 3\)") as told:
        verify_audit(copy, detector=lambda _: detector)
    return str(told.value)


def test_the_record_of_a_broken_off_round_is_what_was_durable(played: Path, tmp_path: Path) -> None:
    said = broken(played, tmp_path, rewritten(1, lambda _, record: record["sent"].pop()))
    assert said == "entry 3 (round 2): its record is not what was durable when the crash came"


class Judging(Scripted):
    """… whose verdict tells how much evidence there was, unlike the server's."""

    def __call__(self, ledger: Any, invited: Any) -> Any:
        found = super().__call__(ledger, invited)
        if len(ledger.rounds) == 1 and len(invited) == 9:
            found.to_dict = lambda: {"another": 1}  # type: ignore[method-assign]
        return found


def test_evidence_that_the_sums_do_not_say_is_named(played: Path, tmp_path: Path) -> None:
    def edit(raw: sqlite3.Connection) -> None:
        raw.execute("UPDATE observations SET mean = zeroblob(length(mean)) WHERE position = 2")
        sealed = ledger_seals(raw)

        def mended(text: str) -> str:
            entry = json.loads(text)
            if entry.get("ledger"):
                entry["ledger"] = sealed[entry["position"]]
            return json.dumps(entry)

        signed(raw, [mended(text) for text in rows_of(raw)])

    said = broken(played, tmp_path, edit)
    assert "(round 3): its evidence is not what the opened sums say" in said


def ledger_seals(raw: sqlite3.Connection) -> dict[int, str]:
    found, last = {}, run_seals.FIRST
    ledger = raw.execute("SELECT position, era, gram FROM ledger_rounds ORDER BY position")
    for position, era, gram in ledger.fetchall():
        of_it = 'SELECT members, mean FROM observations WHERE position = ? ORDER BY "group"'
        groups = raw.execute(of_it, (position,)).fetchall()
        last = found[position] = run_seals.of_evidence(last, position, era, gram, groups)
    return found


def test_what_the_server_alone_says_rewritten_with_its_key_takes_a_printed_head_to_see(
    played: Path, tmp_path: Path
) -> None:
    head = checked(played).head
    edit = rewritten(2, lambda entry, _: entry["conduct"]["paused_until"].update({"3": 9}))
    copy = edited(played, tmp_path, edit)
    assert checked(copy).rounds == 9  # clients sign no conduct, and the server signed it
    with pytest.raises(AuditBroken, match="no entry leads to the head"):
        checked(copy, head=head)
