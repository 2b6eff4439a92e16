"""``auror check``: the program of a file says what a start would lack; three exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import kit
import pytest
from auror_client.config import ClientConfig
from auror_server.config import ServerConfig

from auror.errors import ConfigError
from auror.programs.check import SECTIONS, program_of
from auror.programs.processes import free_address, programs, wait_until_listening

CLIENT = """
[client]
server = "{address}"
credentials = "certs/clients/{client:03d}"
[data]
dataset = "synthetic"
"""


def test_every_section_tells_its_program() -> None:
    assert {
        "auror_server": frozenset(ServerConfig.model_fields),
        "auror_client": frozenset(ClientConfig.model_fields),
    } == SECTIONS
    assert not SECTIONS["auror_server"] & SECTIONS["auror_client"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "neither of a server nor of a client"),
        ("[experiment]\n", "neither of a server nor of a client"),
        ("[server]\n[client]\n", "of server and client at once"),
        ("[server", "is not TOML"),
    ],
)
def test_a_file_of_no_program(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "some.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=says):
        program_of(file)


def test_server_and_client_are_checked_before_and_while_the_server_runs(tmp_path: Path) -> None:
    kit.enrol(tmp_path, 3)
    address = free_address()
    server_file, client_file = tmp_path / "server.toml", tmp_path / "client.toml"
    server_file.write_text(
        f'[server]\nlisten = "{address}"\ncredentials = "certs/server"\n', encoding="utf-8"
    )
    client_file.write_text(CLIENT.format(address=address, client=0), encoding="utf-8")
    code, said = kit.run("auror", "check", "server.toml", cwd=tmp_path)
    assert code == 0, said
    for line in ("✓ policy: deployment", "✓ ring: 16 bits of 3 clients fit into 18", "✓ disk: "):
        assert line in said
    with programs(tmp_path / "logs") as starter:
        program = starter.server(kit.server_settings(tmp_path, address))
        wait_until_listening(address, program)
        code, said = kit.run("auror", "check", "client.toml", "--format", "json", cwd=tmp_path)
        assert code == 0, said
        found = json.loads(said.splitlines()[-1])  # after the log
        assert (found["ok"], found["code"]) == (True, 0)
        lines = {line["check"]: line["found"] for line in found["checks"]}
        assert lines["server"].startswith(f"{address} without a proxy answers in ")
        assert lines["policy version"] == "1 here, 1 at the server"
        assert "of the 120 s that others wait" in lines["uplink"]
        assert "give or take" in lines["clock"]
        assert not list((tmp_path / "run").glob("spool/*"))
    code, said = kit.run("auror", "check", "client.toml", cwd=tmp_path)
    assert code == 0
    assert f"✓ server: {address} without a proxy: nobody listens now" in said
    client_file.write_text(CLIENT.format(address=address, client=9), encoding="utf-8")
    code, said = kit.run("auror", "check", "client.toml", cwd=tmp_path)
    assert code == 1
    assert "✗ credentials and policy: no credentials folder certs/clients/009" in said
    code, said = kit.run("auror", "check", "none.toml", cwd=tmp_path)
    assert (code, said) == (2, "auror: cannot read none.toml: No such file or directory\n")
