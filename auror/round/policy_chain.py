"""What a later version of the policy may change, whoever signed it.

The signature says that the operator wants it. These checks say that it is another version of the
same deployment: the same rules, and everybody under the number that was his.
"""

from __future__ import annotations

from dataclasses import replace

from auror.errors import ConfigError
from auror.round.policy import Policy

MAY_CHANGE = ("patience", "training_patience")
"""Parameters that promise nothing: how long who is slow is waited for."""


def check_follows(before: Policy, after: Policy) -> None:
    """Whether ``after`` is ``before`` or a later version of it.

    Raises:
        ConfigError: a version that was skipped back to, another predecessor, another rule, or a
            number that is given to another key.
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
    ):
        if not same:
            raise ConfigError(
                f"{where} has other {name} than version {before.version}: they hold for a whole"
                " deployment; let the operator make a new one"
            )
    if after.first_models[: before.eras] != before.first_models:
        raise ConfigError(f"{where} has other first models of trainings that were signed before")
    _check_numbers(before, after)


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
