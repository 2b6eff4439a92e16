"""What a later version of the policy may change, whoever signed it.

The signature says that the operator wants it. These checks say that it is another version of the
same deployment: the same rules, and everybody under the number that was his.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

from auror.errors import ConfigError
from auror.round.policy import Policy

MAY_CHANGE = ("patience", "training_patience")
"""Parameters that promise nothing: how long who is slow is waited for."""


def check_follows(before: Policy, after: Policy) -> None:
    """Whether ``after`` is ``before`` or a later version of it.

    Raises:
        ConfigError: a version that was skipped back to, another predecessor, another rule, a larger
            budget for the same trainings, a number that is given to another key, or a key that is
            given two numbers.
    """
    where = f"version {after.version} of the policy"
    if after.deployment != before.deployment:
        raise ConfigError(f"{where} is of another deployment: keep the one there is")
    if after.version < before.version:
        raise ConfigError(f"{where} is older than version {before.version}: keep the one there is")
    if not after.follows(before.version, before.digest().hex()):
        raise ConfigError(
            f"{where} does not follow version {before.version} here: two policies of one version"
            " were signed; ask the operator which one counts"
        )
    waits = {name: getattr(after.params, name) for name in MAY_CHANGE}
    for name, same in (
        ("params", replace(before.params, **waits) == after.params),
        ("caps", before.caps == after.caps),
        ("task", before.task == after.task),
        ("clean samples", before.clean_samples == after.clean_samples),
    ):
        if not same:
            raise ConfigError(
                f"{where} has other {name} than version {before.version}: they hold for a whole"
                " deployment; let the operator make a new one"
            )
    if after.first_models[: before.eras] != before.first_models:
        raise ConfigError(f"{where} has other first models of trainings that were signed before")
    _check_budget(before, after)
    _check_numbers(before, after)


def _check_budget(before: Policy, after: Policy) -> None:
    """Only further trainings make it larger, and more members the rounds of doubt."""
    most, known, now = before.budget, before.roster.everybody, after.roster.everybody
    for eras in range(before.eras, after.eras):  # one by one: nobody rounds up more often
        most = most.extended(eras, 1)
    if any(c not in known or one.since > before.version for c, one in now.items()):
        doubt = max(map(before.params.rounds_of_doubt, range(1, len(now) + 1)))
        most = most.deciding(doubt)
    for one in fields(most):
        value, bound = getattr(after.budget, one.name), getattr(most, one.name)
        if value > bound:
            raise ConfigError(
                f"version {after.version} of the policy raises {one.name} to {value}, {bound} at"
                f" most follow from version {before.version}: only further trainings make a budget"
                " larger; ask the operator"
            )


def _check_numbers(before: Policy, after: Policy) -> None:
    known, now = before.roster.everybody, after.roster.everybody
    for client, entry in known.items():
        later = now.get(client)
        if later is None or (later.verify_key, later.tls_key) != (entry.verify_key, entry.tls_key):
            raise ConfigError(
                f"version {after.version} of the policy gives the number {client} to other keys:"
                " numbers are never given twice; ask the operator"
            )
        if later.since < entry.since:
            raise ConfigError(
                f"version {after.version} of the policy takes back that client {client} counts"
                f" anew from version {entry.since} on; ask the operator"
            )
    first = before.roster.next_number
    if any(client < first for client in now.keys() - known.keys()):
        raise ConfigError(
            f"version {after.version} of the policy gives a number below {first} to a newcomer:"
            " numbers are never given twice; ask the operator"
        )
    times = Counter(key for one in now.values() for key in (one.verify_key, one.tls_key))
    for client in sorted(now.keys() - known.keys()):
        if times[now[client].verify_key] > 1 or times[now[client].tls_key] > 1:
            raise ConfigError(
                f"version {after.version} of the policy enrols client {client} with a key of"
                " another number, which would count twice: a key is enrolled once; ask the operator"
            )
