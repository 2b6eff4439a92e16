"""How a check fails."""

from __future__ import annotations

from auror.errors import UserError


class Broken(Exception):
    """A check of one entry failed; the text says which."""


class AuditBroken(UserError):
    """An audit that does not hold; the message names the first bad entry."""

    exit_code = 12
