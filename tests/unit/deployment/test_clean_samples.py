"""Signed clean samples: everybody holds the same file, and no other is taken for it."""

from __future__ import annotations

import base64
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from auror_client.held_policy import newest, policy_file

from auror.crypto.entropy import system_entropy
from auror.crypto.signing import SigningKey
from auror.deployment import clean_samples
from auror.deployment.bundle import finish
from auror.deployment.canonical import canonical_json
from auror.deployment.certs import create_deployment
from auror.deployment.clean_samples import CleanSamples, digest_of, load_clean
from auror.deployment.credentials import (
    client_folder,
    load_client,
    load_policy,
    load_server,
)
from auror.deployment.join_request import make_request, make_server_request
from auror.deployment.membership import approve, revoke
from auror.deployment.policy_file import policy_json
from auror.deployment.server_folder import finish_server
from auror.deployment.server_key import approve_server
from auror.errors import ConfigError, CredentialsError
from auror.ids import ClientId
from auror.learn.datasets import load_dataset
from auror.params import RoundParams
from auror.programs.enrol import Enrolment, synthetic_terms, terms_of
from auror.round.policy import NO_DIGEST
from auror.round.policy_chain import check_follows

SAMPLES = CleanSamples(
    np.random.default_rng(0).normal(size=(6, 1, 4, 4)).astype(np.float32), np.arange(6) % 3
)
TERMS = replace(synthetic_terms(7, RoundParams(group_size=2, colluders=0), 3), clean=SAMPLES)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    create_deployment(tmp_path / "certs", 4, ["127.0.0.1"], TERMS)
    return tmp_path / "certs"


def test_server_and_clients_hold_the_same_samples(made: Path) -> None:
    server = load_server(made / "server")
    assert server.policy.clean_samples != NO_DIGEST
    for found in (server.clean, load_client(client_folder(made, 3)).clean):
        assert found is not None
        np.testing.assert_array_equal(found.x, SAMPLES.x)
        np.testing.assert_array_equal(found.y, SAMPLES.y)
    one, other = (client_folder(made, i) / "clean.npz" for i in (0, 1))
    assert one.samefile(other)  # a deployment of 10,000 would take as many copies


@pytest.mark.parametrize("who", ["server", "clients/001"])
def test_a_file_that_is_missing_or_was_changed_is_named(made: Path, who: str) -> None:
    load = load_server if who == "server" else load_client
    path = made / who / "clean.npz"
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(CredentialsError, match=r"clean\.npz is missing"):
        load(made / who)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CredentialsError, match=r"not the clean samples that policy\.json signs"):
        load(made / who)


def test_what_is_not_signed_is_not_parsed(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (made / "server" / "clean.npz").write_bytes(b"another's")

    def parsed(*_args: object, **_options: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(clean_samples.np, "load", parsed)
    with pytest.raises(CredentialsError):
        load_server(made / "server")


def npz(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


NO_ARCHIVE = io.BytesIO()
np.save(NO_ARCHIVE, SAMPLES.x)


@pytest.mark.parametrize(
    "content",
    [
        b"no archive",
        npz(x=SAMPLES.x),
        npz(x=SAMPLES.x.astype(np.float64), y=SAMPLES.y),
        npz(x=SAMPLES.x, y=SAMPLES.y[:5]),
        npz(x=SAMPLES.x, y=SAMPLES.y - 1),
        npz(x=SAMPLES.x * np.float32(np.inf), y=SAMPLES.y),
        npz(x=SAMPLES.x[:0], y=SAMPLES.y[:0]),
        npz(x=np.array([{}], dtype=object), y=SAMPLES.y),
        NO_ARCHIVE.getvalue(),
    ],
)
def test_signed_nonsense_is_a_line(made: Path, content: bytes) -> None:
    policy = replace(load_policy(made / "server"), clean_samples=digest_of(content))
    (made / "server" / "clean.npz").write_bytes(content)
    with pytest.raises(CredentialsError, match="signed, and no samples: let the operator"):
        load_clean(made / "server", policy)


def test_so_many_that_nobody_could_send_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean_samples, "MOST_BYTES", 100)
    with pytest.raises(ConfigError, match="choose a smaller clean_per_class, or 0"):
        SAMPLES.to_bytes()


def test_every_version_signs_the_same(made: Path) -> None:
    operator = SigningKey.draw(system_entropy)
    policy = load_policy(made / "server")
    after = policy.successor(operator)
    assert after.clean_samples == policy.clean_samples
    check_follows(policy, after)
    for others in (digest_of(b"others"), NO_DIGEST):
        with pytest.raises(ConfigError, match="has other clean samples than version 1"):
            check_follows(policy, replace(after, clean_samples=others))
    assert replace(policy, clean_samples=NO_DIGEST).digest() != policy.digest()


def test_a_policy_that_was_handed_on_keeps_them(made: Path, tmp_path: Path) -> None:
    """The state folder holds a later version than the credentials, as after `auror policy next`."""
    site = client_folder(made, 0)
    own = load_client(site)
    shutil.copytree(site, tmp_path / "site")
    after = revoke(made, [ClientId(3)])
    path = policy_file(tmp_path / "state", own.policy.name, own.client)
    path.parent.mkdir(parents=True)
    path.write_bytes(policy_json(after))
    again = newest(tmp_path / "state", tmp_path / "site", own)
    assert (again.policy.version, again.clean) == (2, own.clean)
    with pytest.raises(CredentialsError, match=r"signs clean samples, and clean\.npz was not read"):
        replace(own, clean=None)


def test_nothing_is_signed_that_cannot_be_handed_out(made: Path) -> None:
    (made / "operator" / "clean.npz").unlink()
    before = (made / "operator" / "policy.json").read_bytes()
    with pytest.raises(CredentialsError, match=r"clean\.npz is missing"):
        revoke(made, [ClientId(3)])
    assert (made / "operator" / "policy.json").read_bytes() == before


def test_sites_and_servers_with_keys_of_their_own_get_them_too(tmp_path: Path) -> None:
    operator = tmp_path / "certs"
    create_deployment(operator, 4, ["127.0.0.1"], TERMS, enrol_later=True)
    requests = []
    for site in "abcd":
        make_request(tmp_path / site, site)
        requests.append(tmp_path / site / "request.json")
    approve(operator, requests, 90)
    bundle = client_folder(operator, 1) / "bundle.json"
    whole = json.loads(bundle.read_bytes())
    for forged in ("", base64.b64encode(b"others").decode()):
        bundle.write_bytes(canonical_json({**whole, "clean": forged}))
        with pytest.raises(CredentialsError, match="clean samples are not those that its policy"):
            finish(tmp_path / "b", bundle)
    bundle.write_bytes(canonical_json(whole))
    finish(tmp_path / "b", bundle)
    make_server_request(tmp_path / "host")
    approve_server(operator, tmp_path / "host" / "request.json", 90)
    shutil.rmtree(tmp_path / "host" / "models", ignore_errors=True)
    finish_server(tmp_path / "host", operator / "server")
    for found in (load_client(tmp_path / "b").clean, load_server(tmp_path / "host").clean):
        assert found is not None
        np.testing.assert_array_equal(found.x, SAMPLES.x)


def test_the_operators_data_decide_them_or_there_are_none() -> None:
    data = load_dataset("digits", seed=1)
    signed = terms_of(Enrolment(clients=4, dataset="digits", seed=1)).clean
    assert signed is not None
    np.testing.assert_array_equal(signed.x, data.clean_x)
    np.testing.assert_array_equal(signed.y, data.clean_y)
    fewer = terms_of(Enrolment(clients=4, dataset="digits", seed=1, clean_per_class=3)).clean
    assert fewer is not None
    assert np.bincount(fewer.y).tolist() == [3] * 10
    assert terms_of(Enrolment(clients=4, dataset="digits", clean_per_class=0)).clean is None
    with pytest.raises(ConfigError, match=r"clean_per_class = 99: choose 0 … 10"):
        terms_of(Enrolment(clients=4, dataset="digits", clean_per_class=99))
