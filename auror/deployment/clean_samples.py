"""The clean samples that label rows read along: a file beside the policy, which signs its hash."""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auror.deployment.credential_files import broken, read_file
from auror.deployment.policy_file import POLICY_FILE
from auror.errors import ConfigError, CredentialsError
from auror.ids import Digest
from auror.round.policy import NO_DIGEST, Policy

CLEAN_FILE = "clean.npz"
MOST_BYTES = 32 << 20
"""Of the file. A bundle carries it."""
_UNREADABLE = (
    OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, NotImplementedError,
    RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy and zipfile raise of archives that are none."""


@dataclass(frozen=True, eq=False)
class CleanSamples:
    """Some of each class, the same for everybody."""

    x: NDArray[np.float32]
    """(N, *input shape), as the task takes them: standardised."""
    y: NDArray[np.int64]
    """(N,), classes."""

    def to_bytes(self) -> bytes:
        """The content of the file.

        Raises:
            ConfigError: it would be larger than ``MOST_BYTES``.
        """
        content = io.BytesIO()
        np.savez_compressed(content, x=self.x, y=self.y)
        size = content.getbuffer().nbytes
        if size > MOST_BYTES:
            raise ConfigError(
                f"{len(self.y)} clean samples take {size >> 20} MiB, {MOST_BYTES >> 20} at most:"
                " every client gets them; choose a smaller clean_per_class, or 0"
            )
        return content.getvalue()


def digest_of(content: bytes | None) -> Digest:
    """What a policy signs; ``content``: of the file, None where there is none."""
    return NO_DIGEST if content is None else Digest(hashlib.sha256(content).digest())


def read_clean(folder: Path, policy: Policy) -> bytes | None:
    """The file in ``folder``, which ``policy`` signs; None where it signs none.

    Raises:
        CredentialsError: it is missing, or another.
    """
    if not policy.signs_samples:
        return None
    content = read_file(folder, CLEAN_FILE)
    if digest_of(content) != policy.clean_samples:
        raise broken(folder / CLEAN_FILE, f"not the clean samples that {POLICY_FILE} signs")
    return content


def load_clean(folder: Path, policy: Policy) -> CleanSamples | None:
    """What ``policy`` signs, from ``folder``; None where it signs none.

    Raises:
        CredentialsError: the file is missing, another, or holds no samples.
    """
    return parse_clean(folder / CLEAN_FILE, read_clean(folder, policy))


def parse_clean(path: Path, content: bytes | None) -> CleanSamples | None:
    """Samples of a file whose hash was checked; ``path``: where it lies.

    Raises:
        CredentialsError: it holds none.
    """
    if content is None:
        return None
    try:
        return _samples_in(content)
    except _UNREADABLE as error:
        raise CredentialsError(
            f"{path}: signed, and no samples: let the operator make a new deployment with `auror"
            " certs`"
        ) from error


@functools.lru_cache(maxsize=2)
def _samples_in(content: bytes) -> CleanSamples:
    """The clients of a process read the same file, and hold its samples once."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        x, y = file["x"], file["y"]
    fits = x.dtype == np.float32 and x.ndim >= 2 and y.dtype == np.int64 and y.shape == x.shape[:1]
    if not (fits and len(y) and y.min() >= 0 and np.isfinite(x).all()):
        raise ValueError("no samples")
    return CleanSamples(x, y)


def check_held(policy: Policy, clean: CleanSamples | None) -> None:
    """Raises CredentialsError: ``policy`` signs samples, and whoever goes by it has none. It could
    not tell rows along them from others."""
    if clean is None and policy.signs_samples:
        raise CredentialsError(
            f"version {policy.version} of the policy signs clean samples, and {CLEAN_FILE} was not"
            " read: copy the whole credentials folder again"
        )


def how_many(clean: CleanSamples | None) -> str:
    """A line on what label rows are read along."""
    return "none signed" if clean is None else f"{len(clean.y)}, as the policy signs them"
