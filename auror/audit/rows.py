"""Whether every column says what the entries say, also those that no entry hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from auror.audit.broken import Broken
from auror.audit.start import Start
from auror.deployment import run_seals
from auror.deployment.audit_reader import AuditedRun
from auror.deployment.run_tables import BLOBS
from auror.ids import Digest
from auror.round.interrupted import InterruptedRound
from auror.round.policy import NO_DIGEST
from auror.round.record import RoundRecord

OUTSIDE = {
    "runs.id": "there is one run",
    "runs.changes": "tells a database from its copy",
    "facts.id": "their order alone counts",
}
"""Columns that say nothing of the training, and why no check looks at them."""
Row = Mapping[str, Any]


class Names:
    """Which model each round was of."""

    def __init__(self, kept: AuditedRun) -> None:
        self._kept = kept
        self._named: set[tuple[int, int]] = set()
        self._known = {NO_DIGEST.hex()}
        """Models that may have a name without a round: one was made, or signed as a first one."""

    def begins(self, start: Start) -> None:
        """First models are the policy's."""
        self._known |= {digest.hex() for digest in start.policy.first_models}

    def unaudited(self, row: Row, record: RoundRecord) -> None:
        """A round of before the audit, or one in play: its row is all there is."""
        self._named.add((row["era"], row["step"]))
        self._known |= {row["model"], record.model.hex()}

    def check(self, record: RoundRecord, step: int, model: Digest, parent: Digest) -> None:
        """The model that a round was begun with is the one of its name.

        Raises:
            Broken: it is not.
        """
        found = self._kept.models.get((record.era, step))
        if found != (model.hex(), parent.hex()):
            raise Broken("the table of models names another one for its step")
        self._named.add((record.era, step))
        self._known |= {model.hex(), record.model.hex()}

    def check_others(self) -> None:
        """Models that no round was begun with were made by one, or signed. So is the newest, from
        which a start goes on.

        Raises:
            Broken: one was not.
        """
        kept = self._kept
        in_play = {(row["era"], row["step"]): row["model"] for row in kept.open_rounds}
        self._known |= {*in_play.values()}
        for name, (digest, parent) in kept.models.items():
            if in_play.get(name, digest) != digest or (
                name not in self._named and not {digest, parent} <= self._known
            ):
                raise Broken(f"no round made the model of era {name[0]}, step {name[1]}")
        models = kept.state["models"]
        newest = kept.newest["digest"], models["parent"]
        if kept.models.get((models["era"], models["step"])) != newest:
            raise Broken("the state to go on from has another model than its name says")


def check_round(row: Row, record: RoundRecord, step: int, model: Digest, disputed: bool) -> None:
    """Every column of a closed round.

    Args:
        step, model: of what it was begun with.
        disputed: its description, or what was durable of it, says so.

    Raises:
        Broken: naming the column.
    """
    expected = {
        "counter": record.round_id.counter,
        "era": record.era,
        "step": step,
        "model": model.hex(),
        "attempt": record.attempt,
        "attempted": record.attempted,
        "disputed": record.attempted and disputed,
        "statistics_asked": record.statistics_asked,
        "shares_asked": record.shares_asked,
        "position": record.index,
        "aborted": None if record.aborted is None else record.aborted.name,
        "interrupted": record.interrupted,
        "total_opened": record.total_opened,
        "groups_opened": len(record.opened_groups),
    }
    for name, value in expected.items():
        if row[name] != value:
            raise Broken(f"the column {name} of its row is not what its record says")


def check_broken_off(record: RoundRecord, broken: InterruptedRound) -> None:
    """Raises Broken when ``record`` is not what was durable of a round that a crash ended."""
    if broken.record(record.index, record.model) != record:
        raise Broken("its record is not what was durable when the crash came")


def check_total(kept: AuditedRun, row: Row) -> bool:
    """Whether there is a total of a round to look at; a copy of the database alone has none.

    Raises:
        Broken: it was to be kept and is not, or is another one.
    """
    folder = kept.folder / BLOBS
    if row["total"] is None or not folder.is_dir():
        return False
    try:
        content = (folder / row["total"]).read_bytes()
    except OSError as error:
        raise Broken(f"its total cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != row["total"]:
        raise Broken("its total was changed")
    return True


def check_run(kept: AuditedRun, start: Start, ended: bool, reopened: bool) -> None:
    """The row of the run, and that no table tells of a round that is none.

    Args:
        start: the last one.
        ended: the last entry but starts is that of an end.
        reopened: a server began to write since.

    Raises:
        Broken: they do not fit.
    """
    run, policy = kept.run, start.policy
    if run["finished"] and not ended:
        raise Broken("the run is finished, and no entry ends it")
    if not run["finished"] and ended and not reopened:
        raise Broken("an entry ends the run, and it is not finished")
    expected = {
        "policy_version": policy.version,
        "policy_digest": policy.digest().hex(),
        "roster": run_seals.roster(policy),
        "settings": start.settings,
    }
    for name, value in expected.items():
        if run[name] != value:
            raise Broken(f"the run's {name} is not that of the last start")
    for table in (kept.evidence, kept.verdicts):
        for position in table.keys() - kept.rounds.keys():
            raise Broken(f"evidence or a verdict is there of round {position + 1}, which is not")
    if kept.unsealed is not None:
        raise Broken(f"the seal of {kept.unsealed} does not fit it")
