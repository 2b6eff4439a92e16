"""``auror enrol``, ``approve`` and ``roster``: what they print, and one line for each mistake."""

from __future__ import annotations

import errno
import io
import json
import os
import re
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
    """Three founders and a server, approved and finished."""
    home = tmp_path_factory.mktemp("home")
    create_deployment(home / "op", 3, ["fl.example"], TERMS, enrol_later=True)
    said("enrol", home / "s", "--server")
    for name in "abc":
        said("enrol", home / name)
    said("approve", home / "op", *(home / name / "request.json" for name in "abc"),
         "--server-request", home / "s/request.json")  # fmt: skip
    said("enrol", home / "s", "--finish", home / "op/server")
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
    assert re.search(r'client 3 \(request [0-9a-f]{64}, "d"\): send it', text)
    assert f"send it {home}/op/clients/003/bundle.json" in text
    assert "copy server/policy.json to the server: it hands the version on" in text
    text = said("enrol", home / "d", "--finish", home / "op/clients/003/bundle.json")
    assert "client 3 of deployment" in text
    assert "compare it over another channel" in text
    assert f"`auror-client --server fl.example:7443 --credentials {home}/d" in text
    renewed = said("roster", "renew", home / "op", "server")
    assert "copy server/policy.json to the server and server/cert.pem" in renewed


def test_a_server_with_a_key_of_its_own_is_led_to_its_start(tmp_path: Path) -> None:
    create_deployment(tmp_path / "op", 2, ["fl.example", "192.0.2.7"], TERMS, enrol_later=True)
    text = said("enrol", tmp_path / "s", "--server")
    assert f"send {tmp_path}/s/request.json to the operator, and nothing else" in text
    asked = [said("enrol", tmp_path / name) and tmp_path / name / "request.json" for name in "ab"]
    assert "note: nobody is the server yet" in said("approve", tmp_path / "op", *asked)
    request = tmp_path / "s/request.json"
    text = said("approve", tmp_path / "op", "--server-request", request)
    assert "certificate for fl.example, 192.0.2.7, until 20" in text
    assert f"send it {tmp_path}/op/server, which holds no secret" in text
    made = answer("approve", tmp_path / "op", "--server-request", request, "--days", 3)
    assert made["server"]["hosts"] == ["fl.example", "192.0.2.7"]
    assert made["server"]["before"] is None
    finish = ("enrol", tmp_path / "s", "--finish", tmp_path / "op/server")
    assert "`auror-server --listen 0.0.0.0:7443 --credentials" in said(*finish)
    done = answer(*finish, "--operator", made["operator"])
    assert (done["version"], done["members"], done["operator"]) == (1, 2, made["operator"])


def test_who_replaces_the_servers_key_is_told_what_the_old_one_still_does(home: Path) -> None:
    said("enrol", home / "t", "--server")
    text = said("approve", home / "op", "--server-request", home / "t/request.json",
                "--replace-server")  # fmt: skip
    assert "whoever has that key can stand in for the server until then" in text


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
        text = said("enrol", tmp_path / "a", code=11)
    assert f"cannot write {tmp_path}/a/identity.key: No space left on device" in text
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
        (
            ("roster", "revoke", "op", "0-1"),
            2,
            "1 of 3 members would be left",
        ),
        (
            ("roster", "revoke", "op", "0-2"),
            2,
            "would be left, and the policy needs 2",
        ),
        (("roster", "reinstate", "op", "3"), 2, "client 3 is neither member nor former member"),
        (("roster", "renew", "op", "0,6"), 2, "client 6 is no member"),
        (
            ("certs", "new", "--server", "x", "--enrol-later", "--certificate-days", "9"),
            2,
            "--certificate-days has no effect with --enrol-later",
        ),
        (("approve", "op"), 2, "no request: name the files that `auror enrol` made"),
        (("approve", "op", "s/request.json"), 2, "asks to be the server, not a member"),
        (("approve", "op", "--server-request", "a/request.json"), 2, "to be a member, not the"),
        (("approve", "op", "a/request.json", "--replace-server"), 2, "without --server-request"),
        (
            ("approve", "op", "--server-request", "s/request.json", "--replace-server"),
            2,
            "the server has no other key than that of s/request.json to replace",
        ),
        (
            ("approve", "op", "--server-request", "s/request.json", "--server", "x:1"),
            2,
            "--server x:1 has no effect without requests of sites",
        ),
        (("enrol", "new", "--server", "--name", "x"), 2, "--name x has no effect with --server"),
        (("enrol", "s", "--server", "--finish", "x"), 2, "--server has no effect with --finish"),
        (("enrol", "a", "--finish", "op/server"), 3, "is it another server's?"),
        (("enrol", "s", "--finish", "op/clients/000/bundle.json"), 3, "has the key of a server"),
        (("enrol", "s", "--finish", "op/clients"), 3, "policy.json is missing: the operator"),
        (("roster", "list", "b"), 3, "run this where the folder that `auror certs` made is kept"),
    ],
    ids=range(31),
)
def test_one_line_for_each_mistake(
    home: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, says: str
) -> None:
    monkeypatch.chdir(home)
    text = said(*words, code=code)
    assert any(one in text for one in says.split("|")), text
    assert "version 2" not in said("roster", "list", "op")


def test_certs_makes_nobodys_keys_when_they_enrol_later(tmp_path: Path) -> None:
    made = answer(
        "certs", tmp_path / "op", "--server", "localhost", "--clients", 4, "--dataset", "digits",
        "--enrol-later",
    )  # fmt: skip
    assert (made["clients"], made["enrol_later"]) == (4, True)
    assert not (tmp_path / "op" / "clients").exists()
    assert not list((tmp_path / "op").rglob("key.pem"))
    assert not list((tmp_path / "op").rglob("policy.json"))
