"""docs/deploy.md and docs/operating.md: a deployment, checked, trained, audited, left standing."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import page_kit
import pytest

from auror.deployment.run_reader import RunReader
from auror.programs.processes import free_address

HOST = "127.0.0.2"
ROUNDS = 3
FINISHED, STOPPED = 0, 6


@pytest.mark.slow
def test_the_pages_commands_from_enrolling_to_a_server_that_stands(tmp_path: Path) -> None:
    port = free_address(HOST).rpartition(":")[2]
    instead = {
        "server.example.org": HOST,
        "0.0.0.0": HOST,
        "7443": port,
        "--rounds 10": f"--rounds {ROUNDS}",
        "RUN": "runs/server",
        "--round 24 --client 7": "--round 2 --client 3",
    }
    page = page_kit.lines("docs/deploy.md", instead)
    enrol, longer, serve, verify, show, join, stand, start, runs, status, more = page
    check_server, check_client, live, clients = page_kit.lines("docs/operating.md")
    (watching,) = (b.text for b in page_kit.blocks("docs/operating.md") if b.language == "toml")
    metrics = free_address(HOST)
    listening = f'listen = "{HOST}:{port}"\ncredentials = "server"\n'
    learning, data = (f'[{part}]\ndataset = "mnist5k"\n' for part in ("learning", "data"))

    with page_kit.hosts(tmp_path) as host:
        operator, server, first, others = map(host, ("operator", "server", "first", "others"))
        operator.run(enrol)
        operator.run(longer)
        certs = operator.folder / "certs"
        shutil.copytree(certs / "server", server.folder / "server")
        shutil.copytree(certs / "clients" / "000", first.folder / "000")
        shutil.copytree(certs / "clients", others.folder / "clients")

        written = watching.replace("127.0.0.1:9464", metrics)
        (server.folder / "server.toml").write_text(f"{written}{listening}{learning}")
        assert "✗" not in server.run(check_server)
        serving = server.start(serve, "serving")
        page_kit.until(lambda: "waiting for" in serving.text(), serving)
        own = f'[client]\nserver = "{HOST}:{port}"\ncredentials = "000"\n{data}'
        (first.folder / "client.toml").write_text(own)
        assert f"✓ server: {HOST}:{port} without a proxy answers" in first.run(check_client)

        server.run("auror pause runs/server")  # nothing is over before it was looked at
        many = join.replace("--credentials 000", "--credentials clients --clients 1-5")
        joined = [first.start(join), others.start(many)]
        here = "connected:   clients 0, 1, 2, 3, 4, 5"
        page_kit.until(lambda: here in server.run(live), serving, *joined)
        assert "invited" in server.run(clients)
        server.run("auror resume runs/server")
        serving.ends()
        for program in joined:
            program.ends()
        assert len(RunReader(server.folder / "runs" / "server").rounds()) == ROUNDS

        auditor = host("auditor")
        shutil.copytree(server.folder / "runs", auditor.folder / "runs")
        shutil.copytree(certs, auditor.folder / "certs")
        assert "holds" in auditor.run(verify)
        assert "client 3" in auditor.run(show)

        standing = server.start(stand, "standing")
        page_kit.until(lambda: "waiting for `auror start`" in standing.text(), standing)
        staying = [first.start(f"{join} --stand"), others.start(f"{many} --stand")]
        server.run(start)
        assert "finished" in server.run(runs)
        assert "0001" in server.run(status)

        operator.run(more)
        shutil.copy(certs / "server" / "policy.json", server.folder / "server" / "policy.new")
        shutil.copytree(certs / "server" / "models", server.folder / "server" / "models",
                        dirs_exist_ok=True)  # fmt: skip
        (server.folder / "server" / "policy.new").rename(server.folder / "server" / "policy.json")
        server.run(start)
        found = json.loads(server.run(f"{runs} --format json").splitlines()[-1])
        assert [line["state"] for line in found["runs"]] == ["finished", "finished"]
        standing.process.send_signal(signal.SIGTERM)
        standing.ends(FINISHED)
        for program in staying:
            program.process.send_signal(signal.SIGTERM)
            program.ends(STOPPED)
