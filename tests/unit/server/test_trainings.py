"""A standing server's trainings: what it is asked for, and what it knows from those before."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from auror_server.app import _stop_on_signals
from auror_server.config import ServerConfig, load_config
from auror_server.hosts import SyntheticHost
from auror_server.session import SessionEnding
from auror_server.start import identity_of
from auror_server.state.opening import begin
from auror_server.trainings import Trainings, stand

from auror.crypto.entropy import system_entropy
from auror.deployment.certs import create_deployment
from auror.deployment.control_socket import CONTROL, Asked, ended_of, granted
from auror.deployment.credentials import load_server
from auror.deployment.membership import reinstate, revoke
from auror.deployment.policy_versions import next_policy
from auror.errors import ConfigError, UserError
from auror.ids import ClientId
from auror.params import RoundParams
from auror.programs.enrol import synthetic_terms
from auror.programs.processes import free_address
from auror.training.campaign import Campaign


@pytest.fixture
def config(tmp_path: Path) -> ServerConfig:
    terms = synthetic_terms(7, RoundParams(group_size=2, colluders=1), 5, 2)
    create_deployment(tmp_path / "certs", 6, ["localhost"], terms)
    given = {"credentials": tmp_path / "certs" / "server", "runs": tmp_path}
    return load_config(None, {}, [f"server.{k}={json.dumps(str(v))}" for k, v in given.items()])


def left(config: ServerConfig, run: Path, *flagged: int) -> None:
    """A run as a server leaves it that flagged these clients."""
    policy = load_server(config.server.credentials).policy
    host = SyntheticHost(policy.task, 7)
    campaign = Campaign(config.campaign(synthetic=True), host, policy, system_entropy)
    campaign.state.confirmation.flagged = {ClientId(client): 3 for client in flagged}
    run.mkdir()
    begin(run, identity_of(config, policy), campaign.state).close()


def test_it_knows_whom_its_earlier_trainings_flagged_until_the_operator_reinstates_it(
    config: ServerConfig, tmp_path: Path
) -> None:
    config = config.model_copy(update={"session": config.session.model_copy(update={"rounds": 5})})
    left(config, tmp_path / "0001", 3)
    left(config, tmp_path / "0002", 3, 5)
    left(config, tmp_path / "another", 1)
    trainings = Trainings(config, tmp_path)
    settings = trainings._settings(Asked(rounds=2), tmp_path / "0003")
    assert trainings._flagged(settings) == (3, 5)
    next_policy(tmp_path / "certs", None)
    assert trainings._flagged(settings) == (3, 5)
    reinstate(tmp_path / "certs", (ClientId(3),))
    assert trainings._flagged(settings) == (5,)
    revoke(tmp_path / "certs", (ClientId(5),))
    assert trainings._flagged(settings) == ()


def test_what_is_asked_for_becomes_its_settings_or_is_refused(
    config: ServerConfig, tmp_path: Path
) -> None:
    trainings = Trainings(config, tmp_path)
    made = trainings._settings(Asked(rounds=2, min_clients=5), tmp_path / "0001")
    assert (made.session.rounds, made.session.min_clients) == (2, 5)
    assert (made.server.run_dir, made.server.runs) == (tmp_path / "0001", "")
    assert made.server.credentials == config.server.credentials
    for wrong in (Asked(rounds=0), Asked(after_flag="perhaps")):
        with pytest.raises(ConfigError, match="session"):
            trainings._settings(wrong, tmp_path / "0001")
    with pytest.raises(ConfigError, match="rounds = 500"):
        trainings._grant(Asked(rounds=500))
    assert not (tmp_path / "0001").exists()
    assert trainings._grant(Asked(rounds=3)) == tmp_path / "0001"
    assert ended_of(tmp_path / "0001") is None


def test_a_signal_while_a_training_is_being_ended_stops_the_server(
    config: ServerConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve(
        _settings: object, _flagged: object, told: Callable[[], None], _monitor: object
    ) -> SessionEnding:
        told()  # for instance while the report is made
        return SessionEnding.FINISHED

    monkeypatch.setattr("auror_server.trainings.serve", serve)
    trainings = Trainings(config, tmp_path)
    run = trainings._grant(Asked(rounds=3))
    assert asyncio.run(asyncio.wait_for(trainings.run(), 30)) is SessionEnding.FINISHED
    assert ended_of(run) == {"code": 0, "why": "finished"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_session_passes_a_signal_on_to_who_stands_behind_it(number: signal.Signals) -> None:
    came: list[str] = []

    class Healthy:
        async def enter_graceful_shutdown(self) -> None:
            came.append("health")

    class Playing:
        def stop(self) -> None:
            came.append("session")

    async def scene() -> None:
        told = asyncio.Event()
        _stop_on_signals(Playing(), Healthy(), told.set)  # type: ignore[arg-type]
        os.kill(os.getpid(), number)
        await asyncio.wait_for(told.wait(), 30)
        await asyncio.sleep(0)

    asyncio.run(scene())
    assert came == ["session", "health"]


def test_between_trainings_monitors_read_that_there_is_none_and_commands_name_a_run(
    config: ServerConfig, tmp_path: Path
) -> None:
    address = free_address()
    server = config.server.model_copy(update={"metrics": address})
    session = config.session.model_copy(update={"rounds": 5})
    config = config.model_copy(update={"server": server, "session": session})

    def look() -> tuple[str, str]:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=20) as answer:
            text = answer.read().decode()
        with pytest.raises(UserError) as caught:
            granted(tmp_path, {"do": "pause"})
        return text, str(caught.value)

    async def scene() -> tuple[str, str]:
        standing = asyncio.create_task(stand(config))
        while not (tmp_path / CONTROL).exists():
            if standing.done():
                standing.result()
            await asyncio.sleep(0.05)
        try:
            return await asyncio.to_thread(look)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # it has a handler by then
            assert await standing is SessionEnding.FINISHED

    text, refused = asyncio.run(scene())
    assert 'auror_activity{activity="idle"} 1.0' in text
    assert refused == f"`auror pause` is of one training: name its run folder, {tmp_path}/NNNN"
