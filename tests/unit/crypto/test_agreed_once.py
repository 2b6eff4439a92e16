"""In simulations both owners of a shared key live in one process, which computes it once."""

from __future__ import annotations

import pytest

from auror.crypto import kex
from auror.crypto.entropy import Secret
from auror.crypto.kex import KeyPair
from auror.crypto.tags import Tag
from auror.errors import AuthenticationFailed


def test_two_owners_in_a_process_may_agree_once_and_a_third_gets_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agreed: list[bytes] = []
    once = KeyPair.agree

    def counted(own: KeyPair, peer_public: bytes) -> bytes:
        agreed.append(peer_public)
        return once(own, peer_public)

    monkeypatch.setattr(KeyPair, "agree", counted)
    monkeypatch.setattr(kex, "_agreeing", [counted])

    def fresh() -> tuple[KeyPair, KeyPair, KeyPair]:
        a, b, c = (KeyPair(Secret(bytes([at]) * 32)) for at in (1, 2, 3))
        return a, b, c

    def keys(a: KeyPair, b: KeyPair, c: KeyPair) -> list[bytes]:
        pairs = ((a, b), (b, a), (a, c), (c, a), (b, c), (c, b))
        return [one.shared_key(other.public, Tag.GROUPS).reveal() for one, other in pairs]

    apart = keys(*fresh())
    assert len(agreed) == 6
    with kex.agreed_once(4):
        assert keys(*fresh()) == apart
        assert len(agreed) == 9
        assert keys(*fresh()) == apart, "everything was handed over, and is computed anew"
        assert len(agreed) == 12
        with pytest.raises(AuthenticationFailed):
            fresh()[0].shared_key(bytes(32), Tag.GROUPS)
    with kex.agreed_once(1):
        a, b, c = fresh()
        a.shared_key(b.public, Tag.GROUPS)
        a.shared_key(c.public, Tag.GROUPS)
        agreed.clear()
        assert b.shared_key(a.public, Tag.GROUPS).reveal() == apart[1]
        assert agreed, "the first of two agreements did not wait any longer"
    agreed.clear()
    keys(*fresh())
    assert len(agreed) == 6, "handed over afterwards: hostile parties are tested without"
