"""``auror enrol``, ``approve`` and ``roster``: what they print, and one line for each mistake."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from auror import cli
from auror.deployment import certs
from auror.deployment.certs import create_deployment
from auror.deployment.credentials import load_client
from auror.errors import CredentialsError
from auror.params import RoundParams
from auror.programs.enrol import synthetic_terms

TERMS = synthetic_terms(7, RoundParams(group_size=2, colluders=0), 3)


def said(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(cli.main, [*map(str, words)])
    assert done.exit_code == code, done.output
    if code:
        assert done.output.count("\n") == 1, done.output
        assert done.output.startswith("auror: ")
    return done.output


def answer(*words: object) -> Any:
    return json.loads(said(*words, "--format", "json"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three founders, approved and finished."""
    home = tmp_path_factory.mktemp("home")
    create_deployment(home / "op", 3, ["fl.example"], TERMS, enrol_later=True)
    for name in "abc":
        said("enrol", home / name)
    said("approve", home / "op", *(home / name / "request.json" for name in "abc"))
    for client, name in enumerate("abc"):
        said("enrol", home / name, "--finish", home / f"op/clients/00{client}/bundle.json")
    return home


@pytest.fixture
def home(kept: Path, tmp_path: Path) -> Path:
    return shutil.copytree(kept, tmp_path / "home")


def test_from_keys_to_a_member_and_out_again(home: Path) -> None:
    asked = answer("enrol", home / "d", "--name", "Site D")
    assert asked["name"] == "Site D"
    made = answer("roster", "add", home / "op", asked["request"], "--server", "fl.example:99")
    (joined,) = made["clients"]
    assert (made["version"], made["members"]) == (2, [0, 1, 2, 3])
    assert (joined["client"], joined["name"]) == (3, "Site D")
    assert joined["request"] == asked["fingerprint"]
    done = answer("enrol", home / "d", "--finish", joined["bundle"], "--operator", made["operator"])
    assert (done["client"], done["server"], done["operator"]) == (3, "fl.example:99",
                                                                 made["operator"])  # fmt: skip
    assert answer("roster", "revoke", home / "op", "0,3")["members"] == [1, 2]
    assert answer("roster", "reinstate", home / "op", "0")["members"] == [0, 1, 2]
    assert answer("roster", "renew", home / "op", "0-1,server", "--days", 700)["version"] == 5
    shown = answer("roster", "list", home / "op")
    assert [(row["client"], row["name"], row["state"], row["since"]) for row in shown["clients"]
            ] == [(0, "a", "member", 4), (1, "b", "member", 1), (2, "c", "member", 1),
                  (3, "Site D", "left", 2)]  # fmt: skip
    text = said("roster", "list", home / "op")
    assert "version 5, 3 members, until" in text
    assert "     3  left        2" in text
    assert answer("policy", "next", home / "op", "--days", 30)["version"] == 6


def test_what_they_say_leads_to_the_next_command(home: Path) -> None:
    text = said("enrol", home / "d")
    assert f"send {home}/d/request.json to the operator, and nothing else" in text
    text = said("approve", home / "op", home / "d/request.json")
    assert "client 3 (d, request " in text
    assert f"send it {home}/op/clients/003/bundle.json" in text
    assert "copy server/policy.json to the server: it hands the version on" in text
    text = said("enrol", home / "d", "--finish", home / "op/clients/003/bundle.json")
    assert "client 3 of deployment" in text
    assert "compare it over another channel" in text
    assert f"`auror-client --server fl.example:7443 --credentials {home}/d" in text
    renewed = said("roster", "renew", home / "op", "server")
    assert "copy server/policy.json to the server and server/cert.pem" in renewed


def test_too_few_for_a_first_version_are_told_how_many_were_expected(tmp_path: Path) -> None:
    create_deployment(tmp_path / "op", 3, ["fl.example"], TERMS, enrol_later=True)
    said("enrol", tmp_path / "a")
    text = said("approve", tmp_path / "op", tmp_path / "a/request.json", code=2)
    assert "1 requests for the first version, 3 were expected" in text
    assert "approve those of all first members at once" in text


def test_keys_without_a_bundle_are_told_what_to_do(home: Path) -> None:
    said("enrol", home / "d")
    with pytest.raises(CredentialsError, match=r"auror enrol \S*/d --finish BUNDLE"):
        load_client(home / "d")


def test_a_disk_that_is_full_leaves_no_half_made_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.fdopen

    class Full(io.BytesIO):
        def write(self, _content: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def fdopen(descriptor: int, mode: str) -> Any:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == "identity.key":
            os.close(descriptor)
            return Full()
        return whole(descriptor, mode)

    with monkeypatch.context() as patch:
        patch.setattr(certs.os, "fdopen", fdopen)
        text = said("enrol", tmp_path / "a", code=3)
    assert f"cannot write {tmp_path}/a: No space left on device" in text
    said("enrol", tmp_path / "a")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("enrol", "a"), 3, "is not empty: choose a new folder, keys are never overwritten"),
        (("enrol", "new", "--operator", "ab"), 2, "--operator ab has no effect without --finish"),
        (("enrol", "a", "--finish", "x", "--name", "b"), 2, "--name b has no effect with --finish"),
        (("enrol", "a", "--finish", "x"), 3, "cannot read x: No such file"),
        (("enrol", "a", "--finish", "op/clients/001/bundle.json"), 3, "another site's?"),
        (
            ("enrol", "a", "--finish", "op/clients/000/bundle.json", "--operator", "5d41"),
            2,
            "--operator 5d41: a fingerprint has 64 hexadecimal digits|operator = 5d41",
        ),
        (("enrol", "new", "--name", " "), 2, "give 1 … 64 printable characters"),
        (("approve", "a", "b/request.json"), 3, "run this where the folder that `auror certs`"),
        (("approve", "op", "op/clients/000/cert.pem"), 3, "is no request, or was changed"),
        (("approve", "op", "a/request.json"), 2, "that of client 0: one site is enrolled once"),
        (("approve", "op", "a/request.json", "--server", "x"), 2, "write it as host:port"),
        (("roster", "revoke", "op", "9"), 2, "client 9 is no member"),
        (("roster", "revoke", "op", "x"), 2, 'write it like "0-14"'),
        (("roster", "revoke", "op", ""), 2, 'name clients like "3,7-9"'),
        (("roster", "revoke", "op", "0-1"), 2, "2 of 1 members|the policy has 1 member"),
        (("roster", "reinstate", "op", "3"), 2, "client 3 is neither member nor former member"),
        (("roster", "renew", "op", "0,6"), 2, "client 6 is no member"),
        (("roster", "list", "b"), 3, "run this where the folder that `auror certs` made is kept"),
    ],
    ids=range(18),
)
def test_one_line_for_each_mistake(
    home: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, says: str
) -> None:
    monkeypatch.chdir(home)
    text = said(*words, code=code)
    assert any(one in text for one in says.split("|")), text
    assert "version 2" not in said("roster", "list", "op")


def test_certs_makes_no_clients_keys_when_they_enrol_later(tmp_path: Path) -> None:
    made = answer(
        "certs", tmp_path / "op", "--server", "localhost", "--clients", 4, "--dataset", "digits",
        "--enrol-later", "--certificate-days", 10,
    )  # fmt: skip
    assert (made["clients"], made["enrol_later"]) == (4, True)
    assert not (tmp_path / "op" / "clients").exists()
    assert not list((tmp_path / "op").rglob("policy.json"))
