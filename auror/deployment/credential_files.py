"""Files of a credentials folder: read, or said to be missing or broken and where they come from."""

from __future__ import annotations

from pathlib import Path

from auror.errors import CredentialsError

KEY_FILE = "key.pem"
REQUEST_FILE = "request.json"
"""In the folder of a host that made its own keys (`auror enrol`)."""


def read_file(folder: Path, name: str) -> bytes:
    """Raises CredentialsError: it is not there, or cannot be read."""
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise _absent(folder, name) from error
    except OSError as error:
        raise CredentialsError(f"cannot read {folder / name}: {error.strerror}") from error


def broken(path: Path, what: str) -> CredentialsError:
    """``path`` is ``what``, such as "not a model"."""
    return CredentialsError(f"{path}: {what}; copy it again from where `auror certs` made it")


def _absent(folder: Path, name: str) -> CredentialsError:
    """What to do about it, by who made ``folder``."""
    if (folder / REQUEST_FILE).exists():
        mend = f"put in what the operator sent: `auror enrol {folder} --finish BUNDLE`"
    else:
        mend = "copy the whole folder that `auror certs` made"
        if name == KEY_FILE:
            mend += (
                f"; where `auror enrol KEYS --server` made the key, `auror enrol KEYS --finish"
                f" {folder}`, and start with KEYS"
            )
    return CredentialsError(f"{folder / name} is missing: {mend}")
