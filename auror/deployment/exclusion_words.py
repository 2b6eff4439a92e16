"""Why a client is excluded for good, and what to check, in words for the person behind it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from auror.ids import ClientId
from auror.round.messages import Exclusion, ExclusionCause


def in_words(client: ClientId, exclusion: Exclusion, task: bytes) -> str:
    """One line. ``task``: of the policy; it names the classes where they have names."""
    start, names = f"client {client} is excluded for good", class_names(task)
    if exclusion.cause is ExclusionCause.PROOF:
        return (
            f"{start}: what it sent contradicts what it signed, which no client does that follows"
            " the protocol; check that its program is unchanged and that nobody else holds its"
            " keys, then ask the operator"
        )
    if exclusion.cause is ExclusionCause.EARLIER_FLAG:
        return (
            f"{start}: it was flagged in a training before, and flags last; what to check stands in"
            " its log of then: check that, then ask the operator (`auror roster reinstate`)"
        )
    source, target = named(exclusion.source, names), named(exclusion.target, names)
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


def _evidence(exclusion: Exclusion) -> str:
    parts = []
    if exclusion.strength is not None:
        needed = "" if exclusion.required is None else f", {exclusion.required:.1f} needed"
        parts.append(f"strength {exclusion.strength:.1f}{needed}")
    parts.append(f"{exclusion.rounds} rounds, {exclusion.audits} of them audited")
    return "; ".join(parts)


def class_names(task: bytes) -> Sequence[str]:
    """As the ``task`` of a policy has them; () where it has none."""
    try:
        found = json.loads(task).get("classes")
    except (ValueError, AttributeError):
        return ()
    return [str(name) for name in found] if isinstance(found, list) else ()


def named(label: int | None, names: Sequence[str]) -> str | None:
    """A class by number, and by name where it has one."""
    if label is None:
        return None
    return f"class {label}" + (f" ({names[label]})" if label < len(names) else "")
