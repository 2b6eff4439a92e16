"""How a check fails."""

from __future__ import annotations

from auror.errors import ConfigError, UserError


class Broken(Exception):
    """A check of one entry failed; the text says which."""


class CannotJudge(ConfigError):
    """A detector that does not run here: nothing is wrong with the audit by that."""


class AuditBroken(UserError):
    """An audit that does not hold; the message names the first bad entry."""

    exit_code = 12
