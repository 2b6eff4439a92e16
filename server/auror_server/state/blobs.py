"""Models and totals, each a file under the SHA-256 of its bytes: nothing is written over.

Whatever is read has the hash that it is named after; a name without such a file is damage.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

from auror.files import replace_file


class BlobDamaged(Exception):
    """A blob is missing or is not what its name says; the text says which."""


class Blobs:
    """The blobs of one run folder."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is made where it is not there."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder

    def put(self, content: bytes) -> str:
        """Keep ``content``: durable on return. Returns its address.

        Raises:
            OSError: the disk takes nothing more.
        """
        address = hashlib.sha256(content).hexdigest()
        if not self.intact(address):
            replace_file(self._folder / address, content, 0o600)
        return address

    def get(self, address: str) -> bytes:
        """Raises BlobDamaged when it is missing or damaged."""
        path = self._folder / address
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BlobDamaged(f"{path} cannot be read ({error.strerror})") from error
        if hashlib.sha256(content).hexdigest() != address:
            raise BlobDamaged(f"{path} is damaged")
        return content

    def intact(self, address: str) -> bool:
        try:
            self.get(address)
        except BlobDamaged:
            return False
        return True

    def keep_only(self, addresses: Collection[str]) -> None:
        """Remove all others, and what a crash left half-written."""
        for path in self._folder.iterdir():
            if path.name not in addresses:
                path.unlink()
