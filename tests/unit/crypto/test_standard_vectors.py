"""Published test vectors through our own wrappers.

Where a wrapper binds its input to a tag, the part before that is compared with the vector and the
binding with an implementation that is itself checked against the RFC.
"""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pytest
from ed25519_reference import ORDER, P, public_key, sign

from auror.crypto import aead
from auror.crypto.entropy import Secret
from auror.crypto.kex import KeyPair, check_public_key, expand
from auror.crypto.prg import keystream
from auror.crypto.signing import SigningKey, verify
from auror.crypto.tags import Tag, encode
from auror.errors import AuthenticationFailed

# X25519, RFC 7748 section 6.1
ALICE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
ALICE_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
BOB = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
BOB_PUBLIC = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
SHARED = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")


def hkdf_sha256(material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, section 2, from hmac alone."""
    key = hmac.digest(salt or bytes(32), material, hashlib.sha256)
    out, block = b"", b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.digest(key, block + info + bytes([number]), hashlib.sha256)
        out += block
    return out[:length]


@pytest.mark.parametrize(
    ("material", "salt", "info", "length", "expected"),
    [  # RFC 5869, appendix A.1 and A.3
        ("0b" * 22, "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9", 42,
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"),
        ("0b" * 22, "", "", 42,
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"),
    ],
)  # fmt: skip
def test_the_reference_hkdf_is_rfc_5869(
    material: str, salt: str, info: str, length: int, expected: str
) -> None:
    made = hkdf_sha256(*(bytes.fromhex(text) for text in (material, salt, info)), length)
    assert made.hex() == expected


@pytest.mark.parametrize("tag", list(Tag))
def test_expand_is_hkdf_with_the_encoded_tag_as_info(tag: Tag) -> None:
    made = expand(SHARED, tag, b"context", b"")
    info = encode(tag.value, b"context", b"")
    assert made.reveal() == hkdf_sha256(SHARED, b"", info, 32)


def test_key_agreement_is_rfc_7748_then_hkdf() -> None:
    alice, bob = KeyPair(Secret(ALICE)), KeyPair(Secret(BOB))
    assert (alice.public, bob.public) == (ALICE_PUBLIC, BOB_PUBLIC)
    for own, peer in ((alice, BOB_PUBLIC), (bob, ALICE_PUBLIC)):
        key = own.shared_key(peer, Tag.SHARE_ENCRYPTION, b"T")
        info = encode(Tag.SHARE_ENCRYPTION.value, b"T")
        assert key.reveal() == hkdf_sha256(SHARED, b"", info, 32)


@pytest.mark.parametrize(
    "point",
    [  # points of small order (RFC 7748 section 6.1 asks to refuse the zero they agree on)
        "00" * 32,
        "01" + "00" * 31,
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ],
)
def test_points_of_small_order_are_refused(point: str) -> None:
    with pytest.raises(AuthenticationFailed):
        check_public_key(bytes.fromhex(point))
    with pytest.raises(AuthenticationFailed):
        KeyPair(Secret(ALICE)).shared_key(bytes.fromhex(point), Tag.SHARE_ENCRYPTION)


def test_keys_are_refused_exactly_when_an_agreement_with_them_fails() -> None:
    p, rng = 2**255 - 19, np.random.default_rng(9)
    order_8 = [
        int.from_bytes(bytes.fromhex(point), "little")
        for point in (
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        )
    ]
    tried = {u + off for u in (0, p, *order_8) for off in range(-3, 19) if 0 <= u + off < 2**255}
    tried |= {int.from_bytes(rng.bytes(32), "little") % 2**255 for _ in range(200)}
    refused = set()
    for u in tried:
        for top in (0, 2**255):  # RFC 7748 masks it
            public = (u + top).to_bytes(32, "little")
            try:
                KeyPair(Secret(ALICE)).shared_key(public, Tag.SHARE_ENCRYPTION)
            except AuthenticationFailed:
                refused.add(u)
                with pytest.raises(AuthenticationFailed):
                    check_public_key(public)
            else:
                check_public_key(public)
    assert refused == {0, 1, p - 1, p, p + 1, *order_8}


@pytest.mark.parametrize(
    ("key", "blocks"),
    [
        # AES-256 of the counters 0, 1, 2: H, E(K, Y0) and E(K, Y1) of the GCM specification's test
        # cases 13 and 14 (McGrew, Viega), as NIST republishes them
        ("00" * 32, [
            "dc95c078a2408989ad48a21492842087",
            "530f8afbc74536b9a963b4f1c4cb738b",
            "cea7403d4d606b6e074ec5d3baf39d18",
        ]),
        # H of test cases 15 and 16
        ("feffe9928665731c6d6a8f9467308308" * 2, ["acbef20579b4b8ebce889bac8732dad7"]),
    ],
)  # fmt: skip
def test_the_key_stream_is_aes_256_in_counter_mode_from_zero(key: str, blocks: list[str]) -> None:
    stream = keystream(Secret(bytes.fromhex(key)), 16 * len(blocks))
    assert [stream[k : k + 16].hex() for k in range(0, len(stream), 16)] == blocks


def test_counter_mode_core_is_sp_800_38a() -> None:
    """F.1.5 gives AES-256 of single blocks; our stream enciphers the counter, so its first block
    under the vector's key is AES of zero, which ECB with a zero block gives as well."""
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256
    from cryptography.hazmat.primitives.ciphers.modes import ECB

    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    ecb = Cipher(AES256(key), ECB()).encryptor()
    assert ecb.update(bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")).hex() == (
        "f3eed1bdb5d2a03c064b5a7e3db181f8"
    )
    assert keystream(Secret(key), 32) == ecb.update(bytes(16)) + ecb.update(bytes(15) + b"\1")


@pytest.mark.parametrize(
    ("plaintext", "ciphertext", "tag"),
    [  # GCM specification, test cases 13 and 14: zero key, zero nonce
        ("", "", "530f8afbc74536b9a963b4f1c4cb738b"),
        ("00" * 16, "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"),
    ],
)
def test_envelopes_are_aes_256_gcm(plaintext: str, ciphertext: str, tag: str) -> None:
    key = Secret(bytes(32))
    sealed = aead.seal(key, bytes.fromhex(plaintext), b"")
    assert sealed.hex() == ciphertext + tag
    assert aead.open_sealed(key, sealed, b"").hex() == plaintext
    with pytest.raises(AuthenticationFailed):
        aead.open_sealed(key, sealed, b"other")


RFC_8032 = [  # section 7.1, tests 1 to 3: secret key, public key, message, signature
    ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     ("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
      "46bd25bf5f0595bbe24655141438e7a100b")),
    ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     ("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
      "d8c387b2eaeb4302aeeb00d291612bb0c00")),
    ("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     ("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
      "6594a7c15e9716ed28dc027beceea1ec40a")),
]  # fmt: skip


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032)
def test_signatures_are_rfc_8032(secret: str, public: str, message: str, signature: str) -> None:
    """The reference gives the RFC's signatures; ours are the reference's on the tagged message."""
    raw = bytes.fromhex(secret)
    assert public_key(raw).hex() == public
    assert sign(raw, bytes.fromhex(message)).hex() == signature
    signer = SigningKey(Secret(raw))
    assert signer.verify_key.hex() == public
    ours = signer.sign(Tag.VIEW_SIGNATURE, bytes.fromhex(message), b"more")
    tagged = encode(Tag.VIEW_SIGNATURE.value, bytes.fromhex(message), b"more")
    assert ours == sign(raw, tagged)
    verify(signer.verify_key, ours, Tag.VIEW_SIGNATURE, bytes.fromhex(message), b"more")
    with pytest.raises(AuthenticationFailed):
        verify(signer.verify_key, ours, Tag.AGREEMENT, bytes.fromhex(message), b"more")
    with pytest.raises(AuthenticationFailed):
        verify(signer.verify_key, ours, Tag.VIEW_SIGNATURE, bytes.fromhex(message) + b"more")


ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL_ORDER = (0, 1, ORDER_8, P - ORDER_8, P - 1, P, P + 1)
"""y of all points of small order, and as they can be written unreduced."""


@pytest.mark.parametrize("sign_of_x", [0, 1])
@pytest.mark.parametrize("y", SMALL_ORDER)
def test_no_signature_without_an_owner(y: int, sign_of_x: int) -> None:
    """With R the neutral element and s = 0, what verifies does not depend on a secret."""
    key = (y | sign_of_x << 255).to_bytes(32, "little")
    anybodys = (1).to_bytes(32, "little") + bytes(32)
    for message in range(64):
        with pytest.raises(AuthenticationFailed):
            verify(key, anybodys, Tag.JOIN_REQUEST, bytes([message]))


def test_keys_of_small_order_are_all_there() -> None:
    """Eight points: of each order's y, both signs of x where there are two."""
    d = -121665 * pow(121666, -1, P)
    for y in (ORDER_8, P - ORDER_8):  # doubled, y is 0: of order 4
        square = (y * y - 1) * pow(d * y * y + 1, -1, P) % P
        assert (y * y + square) % P == 0
    assert ORDER * 8 > P - 2**130  # no other torsion: the cofactor is 8


def test_a_signature_has_one_spelling() -> None:
    """s + L verifies as well by the equation alone (RFC 8032, section 5.1.7, asks to refuse it)."""
    signer = SigningKey(Secret(bytes(range(32))))
    signature = signer.sign(Tag.AGREEMENT, b"once")
    verify(signer.verify_key, signature, Tag.AGREEMENT, b"once")
    s = int.from_bytes(signature[32:], "little") + ORDER
    with pytest.raises(AuthenticationFailed):
        verify(signer.verify_key, signature[:32] + s.to_bytes(32, "little"), Tag.AGREEMENT, b"once")


@pytest.mark.parametrize("key_bytes", [0, 1, 31, 32, 33, 64])
@pytest.mark.parametrize("signature_bytes", [0, 1, 63, 64, 65, 96])
def test_keys_and_signatures_of_another_size_are_refused(
    key_bytes: int, signature_bytes: int
) -> None:
    """A library that reads 32 and 64 bytes would read beyond a shorter one's end, and would take
    what follows a shorter signature for part of it."""
    signer = SigningKey(Secret(bytes(range(32))))
    signature = signer.sign(Tag.AGREEMENT, b"text")
    key = (signer.verify_key + bytes(32))[:key_bytes]
    told = (signature + encode(Tag.AGREEMENT.value, b"text"))[:signature_bytes]
    if (key_bytes, signature_bytes) == (32, 64):
        verify(key, told, Tag.AGREEMENT, b"text")
        return
    with pytest.raises(AuthenticationFailed):
        verify(key, told, Tag.AGREEMENT, b"text")


def test_a_longer_signature_brings_no_content_of_its_own() -> None:
    """The owner of a key signs more than what it is asked for, and hands the rest in with it."""
    secret, content = bytes(range(32)), encode(Tag.AGREEMENT.value, b"text")
    longer = sign(secret, b"more" + content) + b"more"
    with pytest.raises(AuthenticationFailed):
        verify(public_key(secret), longer, Tag.AGREEMENT, b"text")
