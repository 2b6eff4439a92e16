"""What a round's audit says of one client, for the person behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from auror.deployment.audit_log import ROUND, START
from auror.deployment.audit_reader import AuditedRun, read_audited
from auror.deployment.exclusion_words import class_names, in_words, named
from auror.deployment.policy_file import parse_policy
from auror.errors import ConfigError, DataError
from auror.ids import ClientId
from auror.round.policy import Policy
from auror.round.record import RoundRecord
from auror.round.record_json import record_from_json
from auror.training import exclusions


@dataclass(frozen=True)
class Pattern:
    """A reading in which a client stands apart with others."""

    what: str
    """Classes, in words."""
    evidence: float
    """Log-odds, corrected for all readings."""
    effect: float
    """Of the clients in it, in honest spreads."""
    clients: int


@dataclass(frozen=True)
class Explained:
    """Client ``client`` in round ``round``, counted from 1."""

    round: int
    client: int
    part: str
    """What became of it in this round."""
    group: tuple[int, ...]
    """Whose statistics were opened with its own, itself among them; () when none were."""
    standing: str
    """What the verdict of that time says of it."""
    score: float | None
    patterns: tuple[Pattern, ...]
    rounds: tuple[int, ...]
    """Rounds, from 1, in whose bound evidence its group's sum is, up to this one."""
    accused_in: tuple[int, ...]
    """Rounds, from 1, after which the verdict accused it, up to this one."""
    flagged_in: int | None
    """Round, from 1, in which a flag fell on it, up to this one."""
    strength: float | None
    required: float | None
    told: str | None
    """What the client was told when it was excluded, with what to check; None: it is not."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def explain(folder: Path, number: int, client: int) -> Explained:
    """Round ``number`` of the run in ``folder`` as ``client`` may have it explained. Nothing is
    verified here (``auror.audit.verify``).

    Raises:
        ConfigError: no such round or client.
        DataError: there is nothing to read.
    """
    kept = read_audited(folder)
    try:
        return _explain(folder, kept, number, client)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: the audit is damaged: {error!r}") from error


def _explain(folder: Path, kept: AuditedRun, number: int, client: int) -> Explained:
    index, policy, entry = number - 1, None, None
    for each in kept.entries:
        content = each.content
        if content["kind"] == START:
            policy = parse_policy(content["policy"].encode())
        elif content["kind"] == ROUND and int(content["position"]) == index:
            entry = content
            break
    if entry is None or policy is None or index not in kept.rounds:
        known = sorted(position + 1 for position in kept.rounds)
        which = f"choose {known[0]} … {known[-1]}" if known else "none is closed yet"
        raise ConfigError(f"round = {number}: {folder} has no audit of it; {which}")
    record = _record(kept, index)
    if client not in policy.members and client not in record.cohort:
        raise ConfigError(f"client = {client} is no member of this deployment")
    one = ClientId(client)
    group = next((found.members for found in record.opened if one in found.members), ())
    verdict = json.loads(kept.verdicts.get(index, "{}"))
    told = exclusions.from_dict(entry["told"]).get(one)
    rows: list[dict[str, Any]] = verdict.get("clients", [])
    mine: dict[str, Any] = next((row for row in rows if row["client"] == client), {})
    scores = verdict.get("scores", {})
    earlier = [position for position in sorted(kept.rounds) if position <= index]
    return Explained(
        round=number,
        client=client,
        part=_part(record, one),
        group=tuple(map(int, group)),
        standing=_standing(verdict, mine, client),
        score=mine.get("score", scores.get(str(client))),
        patterns=tuple(_patterns(verdict, client, policy)),
        rounds=tuple(
            position + 1
            for position in earlier
            if position in kept.evidence
            and any(client in json.loads(who) for who, _ in kept.evidence[position].groups)
        ),
        accused_in=tuple(
            position + 1
            for position in earlier
            if client in json.loads(kept.verdicts.get(position, "{}")).get("flagged", ())
        ),
        flagged_in=next((p + 1 for p in earlier if one in _record(kept, p).flagged), None),
        strength=verdict.get("strength"),
        required=verdict.get("required"),
        told=None if told is None else in_words(one, told, policy.task),
    )


def _record(kept: AuditedRun, index: int) -> RoundRecord:
    return record_from_json(json.loads(kept.rounds[index]["record"]))


def _part(record: RoundRecord, client: ClientId) -> str:
    if client not in record.cohort:
        return "not invited"
    if client in record.withdrawn:
        return f"withdrew: {record.withdrawn[client].value}"
    if client in record.dropped:
        return f"dropped: {record.dropped[client].value}"
    if record.interrupted:
        return "the round was broken off by a crash"
    for index, group in enumerate(record.groups):
        if client in group and index in record.left_out:
            return f"its group was left out of the total: {record.left_out[index]}"  # type: ignore[index]
    if client in record.accepted:
        return "in the total"
    return "the round had no total" if record.aborted else "not in the total"


def _standing(verdict: Mapping[str, Any], mine: Mapping[str, Any], client: int) -> str:
    if not verdict:
        return "no verdict at that time"
    if client in verdict.get("flagged", ()):
        how = "accused"
    elif client in verdict.get("doubted", ()):
        how = "doubted"
    else:
        how = "cleared" if mine.get("cleared") else "not accused"
    return f"{how}: {mine['reason']}" if "reason" in mine else how


def _patterns(verdict: Mapping[str, Any], client: int, policy: Policy) -> list[Pattern]:
    names = class_names(policy.task)
    found = []
    for reading in verdict.get("indications", ()):
        if client in reading["clients"]:
            source, target = named(reading["source"], names), named(reading["target"], names)
            what = f"{source or 'other classes'} towards {target or 'others'}"
            sizes = reading["evidence"], reading["effect"], len(reading["clients"])
            found.append(Pattern(what, *sizes))
    return found
