"""Published vectors through our wrappers, and what the wrappers promise beyond them."""

from __future__ import annotations

import copy
import hashlib
import logging
import traceback

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weights_kit import asked_for

from auror.crypto import aead, prg, shamir, signing
from auror.crypto.entropy import Secret, system_entropy
from auror.crypto.kex import KeyPair, check_public_key, expand
from auror.crypto.signing import SigningKey, verify
from auror.crypto.tags import Encoded, Tag, encode, tagged_hash
from auror.errors import AuthenticationFailed
from auror.sim.seeded import seeded_entropy

ALICE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f92ebc099d8d9d63b2f4f1ef6d5")


def secret(fill: int) -> Secret:
    return Secret(bytes([fill]) * 32)


def test_x25519_base_point_rfc7748() -> None:
    """RFC 7748 §5.2: one multiplication of the scalar 9 by the base point."""
    scalar = bytes([9]) + bytes(31)
    expected = "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
    assert KeyPair(Secret(scalar)).public.hex() == expected


def test_ed25519_rfc8032() -> None:
    """RFC 8032 §7.1, test 1: the public key of the first secret key."""
    seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    expected = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert SigningKey(Secret(bytes.fromhex(seed))).verify_key.hex() == expected


def test_aes256_ctr_zero_key() -> None:
    """AES-256 of the zero block under the zero key, the first block of that key stream."""
    assert prg.keystream(secret(0), 16).hex() == "dc95c078a2408989ad48a21492842087"


def test_aes256_gcm_zero_key() -> None:
    """McGrew and Viega, GCM specification, test cases 13 and 14."""
    assert aead.seal(secret(0), b"", b"").hex() == "530f8afbc74536b9a963b4f1c4cb738b"
    sealed = aead.seal(secret(0), bytes(16), b"")
    assert sealed.hex() == "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"


def test_hkdf_is_extract_then_expand() -> None:
    """RFC 5869 by its own definition, without a salt."""
    import hashlib
    import hmac

    material, info = b"\x0b" * 22, encode(Tag.GROUPS.value, b"context")
    key = hmac.new(bytes(32), material, hashlib.sha256).digest()
    block = hmac.new(key, info + b"\x01", hashlib.sha256).digest()
    assert expand(material, Tag.GROUPS, b"context").reveal() == block


def test_shared_key_is_shared_and_bound_to_tag_and_context() -> None:
    one, two = KeyPair.draw(system_entropy), KeyPair.draw(system_entropy)
    keys = {
        one.shared_key(two.public, tag, context).reveal()
        for tag in (Tag.SHARE_ENCRYPTION, Tag.UPDATE_PAIRWISE_MASK)
        for context in (b"a", b"b")
    }
    assert len(keys) == 4
    assert two.shared_key(one.public, Tag.SHARE_ENCRYPTION, b"a").reveal() in keys


@pytest.mark.parametrize(
    "public",
    [
        bytes(32),
        bytes([1]) + bytes(31),
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        bytes(31),
        KeyPair(secret(8)).public[:31],
        KeyPair(secret(8)).public + b"0",
    ],
)
def test_degenerate_public_keys_are_refused(public: bytes) -> None:
    with pytest.raises(AuthenticationFailed):
        check_public_key(public)
    with pytest.raises(AuthenticationFailed):
        KeyPair(secret(7)).shared_key(public, Tag.SHARE_ENCRYPTION)


def test_a_real_public_key_is_fine() -> None:
    check_public_key(KeyPair(secret(7)).public)


def test_sealed_text_is_bound_to_key_text_and_associated_data() -> None:
    sealed = aead.seal(secret(1), b"shares", b"T")
    assert aead.open_sealed(secret(1), sealed, b"T") == b"shares"
    for key, text, data in (
        (secret(2), sealed, b"T"),
        (secret(1), sealed, b"U"),
        (secret(1), bytes([sealed[0] ^ 1]) + sealed[1:], b"T"),
        (secret(1), b"", b"T"),
    ):
        with pytest.raises(AuthenticationFailed):
            aead.open_sealed(key, text, data)


def test_signature_is_bound_to_key_tag_and_every_part() -> None:
    key = SigningKey(secret(3))
    signature = key.sign(Tag.VIEW_SIGNATURE, b"a", b"b")
    verify(key.verify_key, signature, Tag.VIEW_SIGNATURE, b"a", b"b")
    for verify_key, made, tag, parts in (
        (SigningKey(secret(4)).verify_key, signature, Tag.VIEW_SIGNATURE, (b"a", b"b")),
        (key.verify_key, bytes(64), Tag.VIEW_SIGNATURE, (b"a", b"b")),
        (key.verify_key, b"", Tag.VIEW_SIGNATURE, (b"a", b"b")),
        (b"", signature, Tag.VIEW_SIGNATURE, (b"a", b"b")),
        (key.verify_key, signature, Tag.AGREEMENT, (b"a", b"b")),
        (key.verify_key, signature, Tag.VIEW_SIGNATURE, (b"ab",)),
        (key.verify_key, signature, Tag.VIEW_SIGNATURE, (b"", b"ab")),
    ):
        with pytest.raises(AuthenticationFailed):
            verify(verify_key, made, tag, *parts)


def test_signing_key_survives_pem() -> None:
    key = SigningKey(secret(5))
    assert SigningKey.from_pem(key.to_pem()).verify_key == key.verify_key


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=12), max_size=5), st.lists(st.binary(max_size=12), max_size=5))
def test_encoding_is_injective(one: list[bytes], two: list[bytes]) -> None:
    assert (encode(*one) == encode(*two)) == (one == two)


@given(*[st.lists(st.binary(max_size=9), max_size=4)] * 3)
def test_what_is_encoded_once_stands_for_its_parts(
    one: list[bytes], two: list[bytes], three: list[bytes]
) -> None:
    plain = (*one, *two, *three)
    assert encode(*one, Encoded.of(*two), *three) == encode(*plain)
    assert encode(*one, Encoded.of(*two, Encoded.of(*three))) == encode(*plain)
    digest = hashlib.sha256(encode(Tag.VIEW.value, *plain)).digest()
    assert tagged_hash(Tag.VIEW, *plain) == digest
    assert tagged_hash(Tag.VIEW, *one, Encoded.of(*two, *three)) == digest
    # as one part, bytes that happen to be an encoding stay one part
    assert encode(encode(*two)) != encode(*two)


def test_tags_are_distinct() -> None:
    assert len({tag.value for tag in Tag}) == len(list(Tag))
    assert len({tagged_hash(tag, b"x") for tag in Tag}) == len(list(Tag))


# Shamir -----------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.binary(min_size=32, max_size=32), st.integers(1, 9), st.data())
def test_any_threshold_of_shares_restores(
    value: bytes, threshold: int, data: st.DataObject
) -> None:
    holders = [1, 2, 3, 5, 8, 13, 21, 34, 55]
    shares = shamir.split(Secret(value), threshold, holders, seeded_entropy(1, value.hex()))
    chosen = data.draw(
        st.lists(st.sampled_from(holders), min_size=threshold, max_size=9, unique=True)
    )
    restored = shamir.Combiner(threshold).combine({x: shares[x] for x in chosen})
    assert restored is not None
    assert restored.reveal() == value


def test_holders_serve_again_while_all_of_them_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asked_for(monkeypatch)
    combiner = shamir.Combiner(3)
    around = ([1, 2, 3, 4, 5], [2, 3, 4, 5, 6], [3, 4, 5, 6, 7], [4, 5, 6, 7, 8], [1, 4, 5, 6, 8])
    for fill, holders in enumerate(around):
        shares = shamir.split(secret(fill), 3, holders, seeded_entropy(fill))
        restored = combiner.combine(shares, lambda x: -x)
        assert restored is not None
        assert restored.reveal() == secret(fill).reveal()
    assert asked == [(5, 4, 3), (8, 7, 6), (8, 6, 5)]


def test_the_largest_secret_fits_the_field() -> None:
    shares = shamir.split(secret(255), 2, [1, 2], system_entropy)
    restored = shamir.Combiner(2).combine(shares)
    assert restored is not None
    assert restored.reveal() == bytes([255]) * 32


def test_fewer_shares_than_the_threshold_fit_every_secret() -> None:
    """With t − 1 shares, some polynomial explains each secret: they say nothing."""
    shares = shamir.split(secret(1), 3, [1, 2, 3], seeded_entropy(2))
    for guess in (0, 1, 2**200):
        points = [(0, guess), *((x, int.from_bytes(shares[x], "little")) for x in (1, 2))]
        value = 0
        for x, y in points:
            weight = 1
            for other, _ in points:
                if other != x:
                    weight = weight * (3 - other) * pow(x - other, -1, shamir.PRIME)
            value = (value + y * weight) % shamir.PRIME
        assert 0 <= value < shamir.PRIME
        assert (value == int.from_bytes(shares[3], "little")) == (
            guess == int.from_bytes(bytes([1]) * 32, "little")
        )
    with pytest.raises(ValueError, match="2 shares, 3 needed"):
        shamir.Combiner(3).combine({x: shares[x] for x in (1, 2)})


def test_a_wrong_share_restores_something_else() -> None:
    shares = shamir.split(secret(1), 2, [1, 2], seeded_entropy(3))
    shares[2] = bytes([shares[2][0] ^ 1]) + shares[2][1:]
    restored = shamir.Combiner(2).combine(shares)
    assert restored is None or restored.reveal() != bytes([1]) * 32


@pytest.mark.parametrize(
    ("threshold", "holders"), [(0, [1]), (3, [1, 2]), (1, [0, 1]), (1, [1, 1]), (1, [-1])]
)
def test_impossible_sharings_are_refused(threshold: int, holders: list[int]) -> None:
    with pytest.raises(ValueError, match=r"threshold|holders"):
        shamir.split(secret(1), threshold, holders, system_entropy)


# The mask generator -----------------------------------------------------------------------------


def test_every_one_of_the_256_seed_bits_changes_the_stream() -> None:
    base = prg.keystream(secret(0), 64)
    streams = set()
    for bit in range(256):
        seed = bytearray(32)
        seed[bit // 8] = 1 << (bit % 8)
        stream = prg.keystream(Secret(bytes(seed)), 64)
        differing = (int.from_bytes(stream, "big") ^ int.from_bytes(base, "big")).bit_count()
        assert 180 < differing < 332  # 256 ± 6.7 standard deviations
        streams.add(stream)
    assert len(streams) == 256


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_words_are_the_stream_whatever_the_blocks(dtype: type) -> None:
    count = 256 * 1024 // np.dtype(dtype).itemsize + 17
    drawn = np.zeros(count, dtype=dtype)
    for positions, block in prg.words(secret(9), count, dtype):
        drawn[positions] = block
    stream = prg.keystream(secret(9), count * np.dtype(dtype).itemsize)
    assert np.array_equal(drawn, np.frombuffer(stream, dtype=np.dtype(dtype).newbyteorder("<")))


def test_permutations_are_uniform() -> None:
    counts: dict[tuple[int, ...], int] = {}
    source = prg.UniformIntegers(secret(4))
    for _ in range(6000):
        order = tuple(source.permutation([0, 1, 2]))
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    chi2 = sum((count - 1000) ** 2 / 1000 for count in counts.values())
    assert chi2 < 25  # 5 degrees of freedom: p = 1e-4


def test_integers_below_a_bound_are_unbiased_by_rejection() -> None:
    source = prg.UniformIntegers(secret(6))
    bound = 3 * 2**61  # modulo alone would draw the lower part twice as often
    low = sum(source.below(bound) < 2**62 for _ in range(3000))
    assert 1850 < low < 2150
    for bad in (0, -1, 2**63 + 1):
        with pytest.raises(ValueError, match="bound"):
            source.below(bad)


# Nothing is printed -----------------------------------------------------------------------------


def test_secrets_do_not_show(caplog: pytest.LogCaptureFixture) -> None:
    value = Secret(ALICE)
    pair, identity = KeyPair(value), SigningKey(value)
    shown = [repr(value), str(value), f"{value}", repr(pair), repr(identity), repr([value])]
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").error("held %s %r %s", value, pair, {"key": identity})
    try:
        Secret(ALICE + b"x")
    except ValueError:
        shown.append(traceback.format_exc())
    text = "".join(shown) + caplog.text
    assert "redacted" in text
    assert ALICE.hex() not in text
    assert repr(ALICE)[2:20] not in text
    with pytest.raises(TypeError, match="not serialised"):
        copy.deepcopy(value)
    with pytest.raises(TypeError, match="not serialised"):
        copy.copy(value)
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        Secret(bytes(31))


def test_a_process_may_remember_what_it_verified_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bytes] = []
    once = signing._check

    def counted(verify_key: bytes, signature: bytes, content: bytes) -> None:
        seen.append(content)
        once(verify_key, signature, content)

    monkeypatch.setattr(signing, "_check", counted)
    monkeypatch.setattr(signing, "_checking", [counted])
    key = SigningKey(Secret(bytes(range(32))))
    good = key.sign(Tag.AGREEMENT, b"a")
    with signing.verified_once(4):
        for _ in range(3):
            verify(key.verify_key, good, Tag.AGREEMENT, b"a")
        assert len(seen) == 1
        for wrong in (
            (key.verify_key, good, Tag.AGREEMENT, b"b"),
            (key.verify_key, good, Tag.CONSISTENCY, b"a"),
            (key.verify_key, good[:-1] + bytes([good[-1] ^ 1]), Tag.AGREEMENT, b"a"),
            (SigningKey(secret(4)).verify_key, good, Tag.AGREEMENT, b"a"),
        ):
            for _ in range(2):
                with pytest.raises(AuthenticationFailed):
                    verify(*wrong)
        assert len(seen) == 9
    verify(key.verify_key, good, Tag.AGREEMENT, b"a")
    assert len(seen) == 10, "remembered afterwards: hostile parties are tested without"
