"""X25519 key agreement (RFC 7748) followed by HKDF-SHA-256 (RFC 5869).

X25519 is libsodium's: its call gives Python's lock back, so threads agree side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
from nacl.exceptions import CryptoError

from auror.crypto.entropy import Entropy, Secret
from auror.crypto.tags import Tag, encode
from auror.errors import AuthenticationFailed

PUBLIC_KEY_BYTES = 32
_P = 2**255 - 19
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _P - 1,
        _P,
        _P + 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)
"""All u whose points on Curve25519 or its twist have an order that divides 8: 0 and 1 in two
spellings, −1, and the two of order 8."""
_KEY_BYTES = 32


class KeyPair:
    """One X25519 key pair, fresh for every attempt and every purpose."""

    __slots__ = ("_agreed", "_secret", "public")

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self._agreed: dict[bytes, bytes] = {}
        self.public = crypto_scalarmult_base(secret.reveal())

    @classmethod
    def draw(cls, entropy: Entropy) -> KeyPair:
        return cls(Secret.draw(entropy))

    @property
    def secret(self) -> Secret:
        """The 32 private bytes, to be Shamir-shared and nothing else."""
        return self._secret

    def shared_key(self, peer_public: bytes, tag: Tag, *context: bytes) -> Secret:
        """A 32-byte key that only the two owners know, bound to ``tag`` and ``context``.

        They agree once: an envelope to a peer and one from it have two keys of one agreement.

        Raises:
            AuthenticationFailed: the peer's key is not a point of large order.
        """
        raw = self._agreed.get(peer_public)
        if raw is None:
            raw = self._agreed[peer_public] = _agreeing[0](self, peer_public)
        return expand(raw, tag, *context)

    def agree(self, peer_public: bytes) -> bytes:
        """The X25519 function of both keys, 32 bytes. Raises AuthenticationFailed as above."""
        if len(peer_public) != PUBLIC_KEY_BYTES:  # libsodium reads 32 bytes, whatever is there
            raise AuthenticationFailed("peer's X25519 key has another size")
        try:
            return crypto_scalarmult(self._secret.reveal(), peer_public)
        except CryptoError as error:
            raise AuthenticationFailed("peer's X25519 key is degenerate") from error

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public.hex()[:16]}…, private=<redacted>)"


@contextmanager
def agreed_once(most: int) -> Iterator[None]:
    """Meanwhile the second of two owners in this process is given what the first one computed: it
    is a function of the two public keys, whichever private key it is computed with. No more than
    ``most`` wait for their second owner."""
    held: dict[frozenset[bytes], bytes] = {}

    def agree(own: KeyPair, peer_public: bytes) -> bytes:
        both = frozenset((own.public, peer_public))
        raw = held.pop(both, None)
        if raw is None:
            raw = held[both] = own.agree(peer_public)
            if len(held) > most:
                del held[next(iter(held))]
        return raw

    before, _agreeing[0] = _agreeing[0], agree
    try:
        yield
    finally:
        _agreeing[0] = before


_agreeing: list[Callable[[KeyPair, bytes], bytes]] = [KeyPair.agree]


def check_public_key(public: bytes) -> None:
    """Whether a peer's key can agree on a secret at all, with whatever private key.

    Raises:
        AuthenticationFailed: wrong size, or a point of small order: with it every agreement
            would fail, so it is refused when it is advertised.
    """
    u = int.from_bytes(public, "little") & (2**255 - 1)  # RFC 7748 section 5: the top bit is free
    if len(public) != PUBLIC_KEY_BYTES or u in _SMALL_ORDER:
        raise AuthenticationFailed("X25519 key is degenerate")


def expand(key_material: bytes, tag: Tag, *context: bytes) -> Secret:
    """HKDF-SHA-256 of ``key_material`` with ``info = encode(tag, *context)``: 32 bytes."""
    info = encode(tag.value, *context)
    hkdf = HKDF(algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=None, info=info)
    return Secret(hkdf.derive(key_material))
