"""docs/membership.md: six sites with keys of their own; one joins, one leaves and comes back."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import page_kit
import pytest
from page_kit import Host, Program, until

from auror.audit.verify import verify_audit
from auror.deployment.run_reader import RunReader
from auror.programs.processes import free_address

SERVER = "127.0.0.2"
NAMES = ("Anna", "Bert", "Carl", "St. Mary", "Emil", "Fred")
LEFT = 3
REFUSED, STOPPED = 3, 6


def bundles(said: str) -> list[Path]:
    """Files that the operator is told to send, in the order of the clients."""
    return [Path(line["bundle"]) for line in json.loads(said.splitlines()[-1])["clients"]]


@pytest.mark.slow
def test_the_pages_commands(tmp_path: Path) -> None:
    address = free_address(SERVER)
    instead = {
        "fl.example.org:7443": address, "fl.example.org": SERVER, "009": "007", "010": "008",
        "9-10": "7-8", "--data 'samples/{client}.npz'": "--dataset digits",
    }  # fmt: skip
    found = page_kit.lines("docs/membership.md", instead)
    enrol, serve, ask, compare, approve, fetch, finish, *pair = found[:-6]
    join, look, revoke, reinstate, renew, replace = found[-6:]
    with page_kit.hosts(tmp_path) as host:
        operator, server = host("operator"), host("server")
        operator.run(f"{enrol} --dataset digits --rounds 500")
        (operator.folder / "requests").mkdir()

        def asks(name: str, to: str, keys: str = "keys") -> Host:
            site = host(f"site {name}")
            said = site.run(ask.replace("St. Mary", name).replace(" keys", f" {keys}"))
            shutil.copy(site.folder / keys / "request.json", operator.folder / to)
            assert operator.run(compare.replace("requests/*.json", to)).split()[0] in said
            return site

        def joins(site: Host, bundle: Path, fingerprint: str) -> Program:
            shutil.copy(operator.folder / bundle, site.folder / "bundle.json")
            said = site.run(finish.replace("5d41…", fingerprint))
            (told,) = re.findall(r"`(auror-client .*)`", said)
            told = told.replace("STATE", "state").replace("--data DATA", "--dataset digits")
            return site.start(re.sub(rf"{re.escape(SERVER)}:\d+", address, told), bundle.stem)

        def copied() -> None:
            new = server.folder / "keys" / "policy.new"
            shutil.copy(operator.folder / "fed" / "server" / "policy.json", new)
            new.rename(new.with_name("policy.json"))

        def policy() -> int:
            kept = RunReader(server.folder / "runs" / "server").glance(0)
            return 0 if kept is None else kept.policy_version

        def rounds() -> list[dict[str, Any]]:
            return RunReader(server.folder / "runs" / "server").rounds()

        def asks_to_serve() -> None:
            server.run(serve)
            shutil.copy(server.folder / "keys" / "request.json", operator.folder / "server.json")

        def begins(name: str) -> Program:
            """The server's host has got the whole folder, and put it beside its key."""
            sent = server.folder / "fed-server"
            shutil.rmtree(sent, ignore_errors=True)
            shutil.copytree(operator.folder / "fed" / "server", sent)
            assert not [*sent.rglob("key.pem")]
            server.run(fetch.replace("5d41…", fingerprint))
            return server.start(
                f"auror-server --listen {address} --credentials keys --dataset digits"
                " --rounds 500 --set server.report=false", name,
            )  # fmt: skip

        asks_to_serve()
        sites = [asks(name, f"requests/{index}.json") for index, name in enumerate(NAMES)]
        said = operator.run(f"{approve} --format json")
        fingerprint = json.loads(said.splitlines()[-1])["operator"]
        refused = dict.fromkeys("0123456789abcdef", "0")
        serving = begins("serving")
        until(lambda: "waiting for" in serving.text(), serving)
        files = bundles(said)
        shutil.copy(operator.folder / files[0], sites[0].folder / "bundle.json")
        sites[0].run(
            finish.replace("5d41…", fingerprint.translate(str.maketrans(refused))), REFUSED
        )
        clients = [joins(site, file, fingerprint) for site, file in zip(sites, files, strict=True)]
        until(lambda: len(rounds()) >= 1, serving)

        newcomer = asks("Gina", "newcomer.json")
        said = operator.run(f"{join} --format json")
        copied()
        clients.append(joins(newcomer, bundles(said)[0], fingerprint))
        until(lambda: 6 in rounds()[-1]["accepted"], serving, which="who joins is in a total")
        listed = operator.run(look)
        assert all(name in listed for name in (*NAMES, "Gina"))

        for keys in ("keys-a", "keys-b"):
            two = asks("Two", f"{keys}.json", keys)
        both = operator.run(f"{join.replace('newcomer.json', 'keys-?.json')} --format json")
        copied()
        (two.folder / "keys").mkdir()
        for keys, bundle in zip(("keys-a", "keys-b"), bundles(both), strict=True):
            shutil.copy(operator.folder / bundle, two.folder / "bundle.json")
            two.run(finish.replace("5d41…", fingerprint).replace(" keys", f" {keys}"))
        *named, together = pair
        for line in named:
            two.run(line)
        clients.append(two.start(together, "both"))
        until(lambda: {7, 8} <= set(rounds()[-1]["accepted"]), serving, which="two are in a total")

        operator.run(revoke)
        copied()
        clients[LEFT].ends(REFUSED)
        assert "revoked" in clients[LEFT].text()
        (shown,) = (x for x in operator.run(look).splitlines() if x.endswith(NAMES[LEFT]))
        assert "member" not in shown.removesuffix(NAMES[LEFT])
        operator.run(reinstate)
        copied()
        again = joins(sites[LEFT], files[LEFT], fingerprint)
        until(
            lambda: LEFT in rounds()[-1]["accepted"], serving, which="who comes back is in a total"
        )

        said = operator.run(f"{renew} --format json")
        copied()
        assert len(bundles(said)) == len(NAMES)
        serving.process.terminate()
        serving.ends(STOPPED)
        for index, program in enumerate(clients):
            if index != LEFT:
                program.ends(STOPPED)
        again.ends(STOPPED)
        assert policy() >= 4

        (server.folder / "keys").rename(server.folder / "lost")
        asks_to_serve()
        operator.run(replace)
        before, serving = len(rounds()), begins("with another key")
        alone = f"auror-client --server {address} --credentials keys --state state --dataset digits"
        clients = [site.start(alone, "again") for site in (*sites, newcomer)]
        clients.append(two.start(together, "again"))

        def all_are_in_totals() -> bool:
            """An audit leaves a group out of a round in ten: who was in no total ends otherwise."""
            seen = {client for one in rounds()[before:] for client in one["accepted"]}
            return len(seen) == len(NAMES) + 3

        until(all_are_in_totals, serving, which="the run goes on")
        serving.process.terminate()
        serving.ends(STOPPED)
        for program in clients:
            program.ends(STOPPED)
        # one audit, of which each part is under the key that wrote it
        assert verify_audit(server.folder / "runs" / "server").rounds == len(rounds())
