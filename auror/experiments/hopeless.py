"""Settings under which AUROR cannot flag who lies, or promises less than it seems: a line each."""

from __future__ import annotations

import math

from auror.defence.selection import VerdictParams
from auror.learn.attack import Attack
from auror.learn.attacks import Forged
from auror.learn.forgery import Sleep
from auror.params import RoundParams
from auror.training.confirmation import CONFIRMATIONS


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


def idle(attack: Attack | None, rounds: int) -> str | None:
    """An attack that begins after the last round: nobody lies, and nobody is found."""
    forgery = attack.forgery if isinstance(attack, Forged) else None
    if not isinstance(forgery, Sleep) or forgery.rounds < rounds:
        return None
    return (
        f"attack = {attack} begins after {forgery.rounds} rounds, and rounds = {rounds}: nobody"
        f" attacks: choose rounds = {forgery.rounds + 1} or more"
    )


def too_short(clients: int, rounds: int, params: RoundParams) -> str | None:
    """A training that is over before anybody could be flagged."""
    groups = clients // params.group_size
    if groups < 2:
        return None
    judged = first_judgement(clients, groups)
    flagged = judged + CONFIRMATIONS
    if rounds >= flagged:
        return None
    return (
        f"rounds = {rounds}: with {groups} groups of {clients} clients nobody is judged before"
        f" round {judged} or flagged before round {flagged}: choose rounds = {flagged} or more"
    )


def first_judgement(clients: int, groups: int) -> int:
    """After how many rounds, all groups opened, the verdict judges at the earliest."""
    params = VerdictParams()
    covered = math.ceil(params.coverage * (clients - 1) / max(groups - 1, 1))
    return max(params.min_rounds, covered)


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
