"""What a client that is excluded for good tells its user: why, and what to check."""

from __future__ import annotations

import json
from collections.abc import Sequence

from auror.errors import Excluded
from auror.ids import ClientId
from auror.round.messages import Exclusion, ExclusionCause


def in_words(client: ClientId, exclusion: Exclusion, task: bytes) -> str:
    """One line. ``task``: of the policy; it names the classes where they have names."""
    start = f"client {client} is excluded for good"
    if exclusion.cause is ExclusionCause.PROOF:
        return (
            f"{start}: what it sent contradicts what it signed, which no client does that follows"
            " the protocol; check that its program is unchanged and that nobody else holds its"
            " keys, then ask the operator"
        )
    names = _class_names(task)
    source, target = _named(exclusion.source, names), _named(exclusion.target, names)
    match source, target:
        case None, None:
            what, check = "its updates stand apart from those of the others", "its labels"
        case None, _:
            what, check = f"its updates move other classes towards {target}", f"what is {target}"
        case _, None:
            what, check = f"its updates move {source} towards others", f"what is {source}"
        case _:
            what = f"its updates move {source} towards {target}"
            check = f"its samples of {source} for labels {target}"
    return (
        f"{start}: {what} ({_evidence(exclusion)}); check {check} and how its samples were made,"
        " then ask the operator"
    )


def check_excluded(told: Sequence[tuple[ClientId, str]]) -> None:
    """Raises Excluded when any of the clients of this process was ``told`` that it is."""
    if not told:
        return
    more = f" (and {len(told) - 1} more of this process, see the log)" if len(told) > 1 else ""
    raise Excluded(told[0][1] + more)


def _evidence(exclusion: Exclusion) -> str:
    parts = []
    if exclusion.strength is not None:
        needed = "" if exclusion.required is None else f", {exclusion.required:.1f} needed"
        parts.append(f"strength {exclusion.strength:.1f}{needed}")
    parts.append(f"{exclusion.rounds} rounds, {exclusion.audits} of them audited")
    return "; ".join(parts)


def _class_names(task: bytes) -> Sequence[str]:
    try:
        found = json.loads(task).get("classes")
    except (ValueError, AttributeError):
        return ()
    return [str(name) for name in found] if isinstance(found, list) else ()


def _named(label: int | None, names: Sequence[str]) -> str | None:
    if label is None:
        return None
    return f"class {label}" + (f" ({names[label]})" if label < len(names) else "")
