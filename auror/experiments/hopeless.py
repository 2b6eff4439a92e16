"""Settings under which AUROR cannot flag who lies, or promises less than it seems: a line each."""

from __future__ import annotations

from auror.params import RoundParams


def undetectable(
    clients: int, malicious: int, params: RoundParams, tested: bool = True
) -> tuple[str, ...]:
    """What cannot be found in a cohort of ``clients`` of whom ``malicious`` attack; ``tested``:
    whether accusations have consequences at all in so small a cohort."""
    found = (
        _majority(clients, malicious),
        _unassumed(malicious, params.colluders),
        _one_group(clients, params.group_size),
        _untested(clients, params) if tested else None,
    )
    return tuple(line for line in found if line is not None)


def _majority(clients: int, malicious: int) -> str | None:
    if 2 * malicious < clients:
        return None
    return (
        f"malicious = {malicious} of {clients} clients, half or more: who lies is who differs from"
        f" most, so none of them is expected to be flagged: choose at most {(clients - 1) // 2}"
    )


def _unassumed(malicious: int, colluders: int) -> str | None:
    if malicious <= colluders:
        return None
    return (
        f"malicious = {malicious}, above colluders = {colluders}: nothing is promised against more"
        f" attackers than are assumed to collude: choose colluders = {malicious}, or fewer of them"
    )


def _one_group(clients: int, size: int) -> str | None:
    if clients // size > 1:
        return None
    return (
        f"group_size = {size} puts all {clients} clients into one group: its sum tells nobody"
        f" apart, so nobody can be flagged: choose at most {clients // 2}, better fewer"
    )


def _untested(clients: int, params: RoundParams) -> str | None:
    """Groups that no total can do without (``auror.training.audits``)."""
    size, groups = params.group_size, clients // params.group_size
    fewest = params.fewest_accepted(clients, clients)
    if groups < 2 or clients - clients // groups >= fewest:
        return None
    return (
        f"group_size = {size} makes {groups} groups of {clients} clients, and a total needs"
        f" {fewest}: no group can be left out to test who is accused, so nobody is flagged"
        " (docs/defence.md, section 6): choose smaller groups, or fewer colluders"
    )
