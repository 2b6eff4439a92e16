"""Files that a neighbour of the operator's, or of a site's, wrote or exchanged."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auror.deployment.bundle import finish
from auror.deployment.canonical import canonical_json
from auror.deployment.certs import create_deployment
from auror.deployment.console import one_line
from auror.deployment.credentials import client_folder, load_policy
from auror.deployment.join_request import (
    make_request,
    make_server_request,
    read_request,
    read_server_request,
)
from auror.deployment.membership import approve, renew, rows
from auror.errors import CredentialsError
from auror.ids import ClientId
from auror.params import RoundParams
from auror.programs.enrol import synthetic_terms

TERMS = synthetic_terms(7, RoundParams(group_size=2, colluders=0), 3)
VALUES = (
    1 << 80,
    1 << 63,
    -1,
    5.5,
    float("nan"),
    True,
    "",
    "\x1b[2J",
    "\ud800",
    None,
    [],
    {},
    [[]],
)
"""What a field can be instead."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder ``fed`` of an operator, ``site`` of a member with keys of its own."""
    home = tmp_path_factory.mktemp("hostile")
    create_deployment(home / "fed", 4, ["127.0.0.1"], TERMS)
    make_request(home / "site", "Anna")
    _, (anna,) = approve(home / "fed", [home / "site" / "request.json"], 90)
    shutil.copy(anna.bundle, home / "bundle.json")
    return home


@pytest.fixture
def home(kept: Path, tmp_path: Path) -> Path:
    shutil.copytree(kept, tmp_path / "home")
    return tmp_path / "home"


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    yield ()
    inner = value.items() if isinstance(value, dict) else ()
    for key, one in enumerate(value[:1]) if isinstance(value, list) else inner:
        yield from ((key, *place) for place in places(one))


def with_value(content: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = copy.deepcopy(content)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


def variants(raw: bytes) -> Iterator[bytes]:
    content = json.loads(raw)
    for place in places(content):
        for value in VALUES:
            changed = canonical_json(with_value(content, place, value))
            if changed != raw:
                yield changed


def test_no_value_of_a_policy_is_a_traceback(home: Path) -> None:
    path = home / "fed" / "server" / "policy.json"
    tried = 0
    for changed in variants(path.read_bytes()):
        path.write_bytes(changed)
        with pytest.raises(CredentialsError):
            load_policy(path.parent)
        tried += 1
    assert tried > 400


def test_no_value_of_a_request_or_a_bundle_is_a_traceback(home: Path) -> None:
    request, bundle = home / "site" / "request.json", home / "bundle.json"
    for changed in variants(request.read_bytes()):
        request.write_bytes(changed)
        with pytest.raises(CredentialsError):
            read_request(request)
    make_server_request(home / "host")
    request = home / "host" / "request.json"
    for changed in variants(request.read_bytes()):
        request.write_bytes(changed)
        with pytest.raises(CredentialsError):
            read_server_request(request)
    for changed in variants(bundle.read_bytes()):
        bundle.write_bytes(changed)
        with pytest.raises(CredentialsError):
            finish(home / "site", bundle)


def edited(value: Any) -> Any:
    """Another value of the same kind."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value[:-1] + ("0" if value[-1:] != "0" else "1")
        case list():
            return value[:-1]
    return {**value, "x": 1}


def test_who_edits_the_draft_decides_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "fed"
    create_deployment(folder, 2, ["127.0.0.1"], TERMS, enrol_later=True)
    draft = folder / "operator" / "draft.json"
    whole = draft.read_bytes()
    requests = [tmp_path / name / "request.json" for name in "ab"]
    for path in requests:
        make_request(path.parent, path.parent.name)
    content, tried = json.loads(whole), 0
    for place in places(content):
        inner = content
        for key in place:
            inner = inner[key]
        if not isinstance(inner, dict | list):
            draft.write_bytes(canonical_json(with_value(content, place, edited(inner))))
            with pytest.raises(CredentialsError, match=r"draft\.json is damaged, or was changed"):
                approve(folder, requests, 90)
            tried += 1
    assert tried > 30
    draft.write_bytes(whole)
    assert approve(folder, requests, 90)[0].version == 1


def test_there_is_one_first_version(tmp_path: Path) -> None:
    folder = tmp_path / "fed"
    create_deployment(folder, 2, ["127.0.0.1"], TERMS, enrol_later=True)
    for name in "abcd":
        make_request(tmp_path / name, name)
    approve(folder, [tmp_path / name / "request.json" for name in "ab"], 90)
    (folder / "operator" / "policy.json").unlink()
    with pytest.raises(CredentialsError, match=r"policy\.json is missing"):
        approve(folder, [tmp_path / name / "request.json" for name in "cd"], 90)


@pytest.mark.parametrize("name", ["operator.key", "ca.key"])
def test_keys_that_others_can_read_sign_nothing(home: Path, name: str) -> None:
    key = home / "fed" / "operator" / name
    key.chmod(0o644)
    make_request(home / "other", "Mallory")
    with pytest.raises(CredentialsError, match=rf"{name} can be read by others"):
        approve(home / "fed", [home / "other" / "request.json"], 90)
    key.chmod(0o600)
    approve(home / "fed", [home / "other" / "request.json"], 90)


def test_a_request_is_small(home: Path) -> None:
    """What it costs to find that out: 16 MB of empty lists took 900 MB."""
    path = home / "site" / "request.json"
    make_request(home / "longest", "\U0001f600" * 64)
    read_request(home / "longest" / "request.json")
    path.write_bytes(b'{"name":[' + b"[]," * 4000 + b"[]]}")
    with pytest.raises(CredentialsError, match="it is too large"):
        read_request(path)


@pytest.mark.parametrize("text", ["\x1b[2J", "\x9b2J", "\u202e", "\ud800", "\x07"])
def test_no_file_commands_a_terminal(home: Path, text: str) -> None:
    path = home / "site" / "request.json"
    content = json.loads(path.read_bytes())
    path.write_bytes(canonical_json({**content, "name": f"Anna{text}"}))
    with pytest.raises(CredentialsError) as error:
        read_request(path)
    said = one_line(str(error.value))
    assert said.isprintable()
    assert "Anna\\" in said


def test_a_certificate_is_renewed_for_the_key_that_the_policy_names_only(home: Path) -> None:
    theirs = client_folder(home / "fed", 2) / "cert.pem"
    shutil.copy(theirs, client_folder(home / "fed", 1) / "cert.pem")
    with pytest.raises(CredentialsError, match="for another key than that of client 1"):
        renew(home / "fed", [ClientId(1)], 90)
    assert theirs.read_bytes() == (client_folder(home / "fed", 1) / "cert.pem").read_bytes()


@pytest.mark.parametrize("whose", ["a client", "another CA"])
def test_nobody_elses_key_gets_the_servers_name(home: Path, whose: str) -> None:
    path = home / "fed" / "server" / "cert.pem"
    source = client_folder(home / "fed", 1)
    if whose == "another CA":
        create_deployment(home / "other", 4, ["127.0.0.1"], TERMS)
        source = home / "other" / "server"
    shutil.copy(source / "cert.pem", path)
    before = path.read_bytes()
    with pytest.raises(CredentialsError, match=r"not the server's certificate of this deployment"):
        renew(home / "fed", [], 90, server_too=True)
    assert path.read_bytes() == before
    assert load_policy(home / "fed" / "operator").version == 2


def test_no_member_is_shown_under_another_sites_name(home: Path) -> None:
    make_request(home / "other", "Mallory")
    assert rows(home / "fed")[1][4].name == "Anna"
    shutil.copy(home / "other" / "request.json", client_folder(home / "fed", 4) / "request.json")
    with pytest.raises(CredentialsError, match="is another site's than client 4"):
        rows(home / "fed")
