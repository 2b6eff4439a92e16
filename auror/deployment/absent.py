"""A file of a credentials folder that is not there, and where it comes from."""

from __future__ import annotations

from pathlib import Path

from auror.errors import CredentialsError

REQUEST_FILE = "request.json"
"""In the folder of a site that made its own keys (`auror enrol`)."""


def absent(folder: Path, name: str) -> CredentialsError:
    """What to do about it, by who made ``folder``."""
    if (folder / REQUEST_FILE).exists():
        mend = f"put in what the operator sent: `auror enrol {folder} --finish BUNDLE`"
    else:
        mend = "copy the whole folder that `auror certs` made"
    return CredentialsError(f"{folder / name} is missing: {mend}")
