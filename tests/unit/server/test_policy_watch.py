"""A later version of the policy beside a running server's credentials: taken, or said why not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from auror_server.members import Members, NotEnrolled, NotYet, Revoked
from auror_server.policy_watch import RETRY_S, PolicyWatch
from homes import TERMS
from structlog.testing import capture_logs

from auror.deployment.certs import create_deployment
from auror.deployment.credentials import load_server
from auror.deployment.join_request import make_request
from auror.deployment.membership import approve, reinstate, revoke
from auror.deployment.policy_versions import next_policy
from auror.errors import CredentialsError
from auror.ids import ClientId, Digest
from auror.programs.enrol import further_models
from auror.round.policy import Policy


def copies(home: Path, name: str = "policy.json") -> None:
    shutil.copy(home / "op" / "server" / name, home / "server" / name)


def watching(home: Path, now: float = 0.0) -> PolicyWatch:
    folder = home / "server"
    return PolicyWatch(folder, load_server(folder), now=lambda: now)


def test_a_later_version_is_found_once_it_lies_there_and_taken_once(home: Path) -> None:
    kept = []
    folder = home / "server"
    watch = PolicyWatch(folder, load_server(folder), kept.append, now=lambda: 0.0)
    assert watch.newer() is None
    second = revoke(home / "op", [ClientId(3)])
    assert watch.newer() is None
    copies(home)
    found = watch.newer()
    assert found is not None
    assert found.policy == watch.ready() == second
    assert watch.credentials.policy.version == 1  # nothing is taken by looking
    watch.adopt(found)
    assert kept == [found]
    assert watch.newer() is None
    assert watch.credentials.policy == watch.ready() == second


def test_versions_that_were_skipped_on_the_way_are_no_matter(home: Path) -> None:
    watch = watching(home)
    for _ in range(3):
        next_policy(home / "op", None)
    copies(home)
    found = watch.newer()
    assert found is not None
    assert found.policy.version == 4


def test_what_cannot_be_taken_is_said_once_and_changes_nothing(home: Path) -> None:
    watch = watching(home)
    path = home / "server" / "policy.json"
    first = path.read_bytes()
    second = next_policy(home / "op", None)
    create_deployment(home / "other", 4, ["localhost"], TERMS)
    foreign = (home / "other" / "server" / "policy.json").read_bytes()
    text = (home / "op" / "server" / "policy.json").read_bytes()
    for wrong, why in (
        (b"{}", "not a policy"),
        (text.replace(b'"release_model":false', b'"release_model":true'), "not signed by the"),
        (foreign, "not signed by the operator key"),
    ):
        path.write_bytes(wrong)
        with capture_logs() as logs:
            assert watch.newer() is watch.newer() is None
        assert all(why in entry["why"] for entry in logs)
        assert len(logs) == (wrong is not foreign)  # the same words are said once
        assert watch.ready().version == 1
    path.write_bytes(text)
    found = watch.newer()
    assert found is not None
    assert found.policy == second
    watch.adopt(found)
    path.write_bytes(first)
    with capture_logs() as logs:
        assert watch.newer() is None
    assert "version 1 of the policy is older than version 2" in logs[0]["why"]
    with capture_logs() as logs:
        watch.refuse("the training wants more")
    assert logs[0]["why"] == "the training wants more"


def test_a_version_whose_models_are_not_there_yet_is_taken_when_they_are(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_values: object) -> Policy:
        raise AssertionError("read again")

    folder, now = home / "server", [0.0]
    watch = PolicyWatch(folder, load_server(folder), now=lambda: now[0])
    models = further_models(load_server(folder).policy, 1, 0)
    next_policy(home / "op", None, further=models)
    copies(home)
    with capture_logs() as logs:
        assert watch.newer() is None
    assert "era-1.safetensors is missing" in logs[0]["why"]
    copies(home, "models/era-1.safetensors")
    with monkeypatch.context() as patch:
        patch.setattr("auror_server.policy_watch.read_policy", fail)
        assert watch.newer() is None  # strangers that knock do not make the server read it again
    now[0] += RETRY_S
    found = watch.newer()
    assert found is not None
    assert len(found.first_models) == 2


def test_dates_are_looked_at_every_day(home: Path) -> None:
    expires = load_server(home / "server").policy.expires
    with capture_logs() as logs:
        watching(home, expires - 15 * 86400.0).check_dates()
    assert logs == []
    watch = watching(home, expires - 13 * 86400.0)
    with capture_logs() as logs:
        watch.check_dates()
        watch.check_dates()
    assert len(logs) == 1
    assert "policy.json expires in 13 days" in logs[0]["event"]
    with pytest.raises(CredentialsError, match=r"policy\.json, version 1, expired on"):
        watching(home, expires + 1.0).check_dates()


def test_who_may_connect(home: Path) -> None:
    watch = watching(home)
    first = watch.credentials.policy
    members = Members(first, watch.ready)
    keys = {client: entry.tls_key for client, entry in first.members.items()}
    make_request(home / "eve", "eve")
    approve(home / "op", [home / "eve" / "request.json"], 30)
    last = revoke(home / "op", [ClientId(2)])
    eve = last.members[ClientId(4)].tls_key
    with pytest.raises(NotEnrolled):
        members.client_of(eve)
    copies(home)
    with pytest.raises(NotYet):
        members.client_of(eve)
    assert members.client_of(keys[ClientId(2)]) == 2  # until the next round
    with pytest.raises(NotYet, match="it holds version 3 of the policy, here 1"):
        members.check_version(3)
    found = watch.newer()
    assert found is not None
    watch.adopt(found)
    with pytest.raises(NotYet):  # taken, and the streams do not go by it yet
        members.client_of(eve)
    members.adopt(found.policy)
    assert members.client_of(eve) == 4
    with pytest.raises(Revoked):
        members.client_of(keys[ClientId(2)])
    with pytest.raises(NotEnrolled):
        members.client_of(Digest(bytes(32)))
    members.check_version(3)
    reinstate(home / "op", [ClientId(2)])
    copies(home)
    with pytest.raises(NotYet):
        members.client_of(keys[ClientId(2)])
