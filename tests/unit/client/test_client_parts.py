"""The client's settings, memory on disk, samples and faults."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from auror_client.account import Account, as_text
from auror_client.config import FaultsSection, RecordSection, load_config
from auror_client.faults import Faults, RoundClock, Vanish
from auror_client.journal import Journal
from auror_client.recording import Recording
from auror_client.start import load_members
from auror_client.trainer import SyntheticTrainer, make_trainers

from auror.crypto.entropy import Secret
from auror.deployment.certs import create_deployment
from auror.errors import ConfigError, MachineError
from auror.ids import ClientId, Digest
from auror.learn.architectures import Mlp
from auror.learn.pinned import PinnedTask
from auror.learn.training import TrainingParams
from auror.params import OwnRules, RoundParams
from auror.programs.enrol import synthetic_terms
from auror.round.client.memory import ClientMemory
from auror.round.messages import Agreement, Upload
from auror.secagg.quantise import Quantiser

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("client.server=example", "host:port"),
        ("data.dataset=own", r"data\.path"),
        ("rules.min_present=-1", r"rules\.min_present = -1"),
        ("swarm.clients=x", r"swarm\.clients"),
        ("rules.min_presnt=3", r"did you mean rules\.min_present"),
        ("policy.min_cohort=3", r"policy\.min_cohort is no setting: .* \[rules\]"),
    ],
)
def test_settings_are_checked(flag: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_config(None, {}, [flag])


def test_many_clients_are_in_any_folder_by_their_numbers(tmp_path: Path) -> None:
    terms = synthetic_terms(7, RoundParams(group_size=2, colluders=0), 3)
    create_deployment(tmp_path / "certs", 3, ["fl.example"], terms)
    (tmp_path / "certs" / "clients").rename(tmp_path / "ours")
    flags = [f"client.credentials={tmp_path}/ours", f"client.state={tmp_path}/state"]
    config = load_config(None, {}, [*flags, 'swarm.clients="0,2"'])
    assert [own.client for _, own in load_members(config)] == [0, 2]
    (tmp_path / "ours" / "001").rename(tmp_path / "ours" / "003")
    with pytest.raises(ConfigError, match="holds the credentials of client 1"):
        load_members(load_config(None, {}, [*flags, 'swarm.clients="3"']))


def test_the_sample_loads() -> None:
    assert load_config(ROOT / "deploy" / "client.toml", {}, []).own_rules() == OwnRules()
    tight = load_config(None, {}, ["rules.min_group=7", "rules.max_openings=9"])
    assert tight.own_rules() == OwnRules(min_group=7, max_openings=9)


def test_memory_survives_and_damage_is_not_forgotten(tmp_path: Path) -> None:
    memory = ClientMemory(totals=3).joined(7).signing("view", Digest(b"m" * 32))
    with Journal(tmp_path, "house", ClientId(2)) as journal:
        assert journal.load() == ClientMemory()
        journal.save(memory)
    for client in (2, 9):
        with pytest.raises(ConfigError, match="belongs to deployment house") as error:
            Journal(tmp_path, "other", ClientId(client))
        assert error.value.exit_code == 2
    with (
        Journal(tmp_path, "house", ClientId(2)) as journal,
        Journal(tmp_path, "house", ClientId(3)) as other,
    ):
        assert journal.load() == memory
        assert other.load() == ClientMemory()
        path = next(tmp_path.rglob("client-002.json"))
        path.write_text('{"counter": 7}')
        with pytest.raises(ConfigError, match="restore it"):
            journal.load()


def test_one_holder_per_client_and_only_the_holder_writes(tmp_path: Path) -> None:
    with Journal(tmp_path, "house", ClientId(2)) as journal:
        with pytest.raises(ConfigError, match=f"another process runs client 2 on {tmp_path}"):
            Journal(tmp_path, "house", ClientId(2))
        with Journal(tmp_path, "house", ClientId(3)):
            journal.save(ClientMemory().joined(1))
        # somebody clears the folder away, and another process begins there
        next(tmp_path.rglob("client-002.lock")).unlink()
        with Journal(tmp_path, "house", ClientId(2)) as second:
            second.save(ClientMemory().joined(9))
            with pytest.raises(ConfigError, match="removed or replaced"):
                journal.save(ClientMemory().joined(2))
            assert second.load() == ClientMemory().joined(9)
    with Journal(tmp_path, "house", ClientId(2)) as journal:
        assert journal.load().counter == 9


def test_nobody_else_reads_what_a_client_remembers(tmp_path: Path) -> None:
    home = tmp_path / "state" / "house"
    home.mkdir(parents=True, mode=0o755)
    (home / "client-002.json").touch(0o644)
    for client in (ClientId(1), ClientId(2)):
        with Journal(tmp_path / "state", "house", client) as journal:
            journal.save(ClientMemory())
    with Journal(tmp_path / "new" / "state", "house", ClientId(1)):
        pass
    for folder in (home, tmp_path / "new" / "state", tmp_path / "new" / "state" / "house"):
        assert folder.stat().st_mode & 0o777 == 0o700
    files = [path for path in home.iterdir() if path.is_file()]
    assert len(files) == 4
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_state_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"client\.state"):
        Journal(tmp_path / "file", "house", ClientId(2))
    with Journal(tmp_path, "house", ClientId(2)) as journal:
        (tmp_path / "house" / "client-002.json").mkdir()
        with pytest.raises(MachineError, match="cannot be written") as caught:
            journal.save(ClientMemory())
        assert caught.value.exit_code == 11


def test_synthetic_updates_repeat_and_refuse_real_tasks() -> None:
    trainer = SyntheticTrainer()
    model = np.zeros(5, dtype=np.float32)
    update = trainer.train(b'{"synthetic": 5}', model, 3)
    assert update.tobytes() == trainer.train(b'{"synthetic": 5}', model, 3).tobytes()
    assert np.array_equal(update * 64, np.rint(update * 64))
    assert np.abs(update).max() <= 0.5
    with pytest.raises(ConfigError, match="load tests"):
        trainer.train(b'{"model": {}}', model, 3)


def test_a_part_that_does_not_exist_is_named() -> None:
    config = load_config(None, {}, ["data.dataset=digits", "data.parts=3", "data.part=3"])
    task = PinnedTask(Mlp((1, 8, 8), 10), TrainingParams()).to_bytes()
    with pytest.raises(ConfigError, match=r"choose 0 … 2"):
        make_trainers(config, [ClientId(0)], 6, task, None)


def test_faults_are_drawn_alike_and_about_as_often_as_asked() -> None:
    faults = Faults(FaultsSection(dropout=0.4, seed=1))
    upload = Upload(b"", Digest(bytes(32)))
    before = after = 0
    for client in range(400):
        try:
            faults.before(ClientId(client), 0, upload)
            faults.after(ClientId(client), 0, Agreement(bytes(64)))
            try:
                faults.after(ClientId(client), 0, upload)
            except Vanish:
                after += 1
        except Vanish:
            before += 1
    assert 50 < before < 110
    assert 50 < after < 110
    Faults(FaultsSection()).before(ClientId(0), 0, upload)


def test_vanished_clients_wake_when_the_round_is_over() -> None:
    async def scene() -> list[int]:
        clock, woke = RoundClock(), []

        async def sleeper(counter: int) -> None:
            await clock.past(counter)
            woke.append(counter)

        tasks = [asyncio.create_task(sleeper(counter)) for counter in (1, 2)]
        await asyncio.sleep(0)
        clock.ended(1)
        await asyncio.wait(tasks, timeout=0.05)
        seen = list(woke)
        clock.ended(2)
        await asyncio.gather(*tasks)
        return seen

    assert asyncio.run(scene()) == [1]


def test_records_repeat_the_quantised_update(tmp_path: Path) -> None:
    recording = Recording(
        RecordSection(randomness=str(tmp_path / "r.jsonl"), inputs=str(tmp_path / "inputs"))
    )
    params = RoundParams(quantisation_range=0.5)
    update, rounding = np.linspace(-0.5, 0.5, 9).astype(np.float32), Secret(bytes(range(32)))
    recording.seeds(3, ClientId(1), 99, rounding)
    recording.update(3, ClientId(1), params, update, rounding)
    assert '"training_seed": 99' in (tmp_path / "r.jsonl").read_text()
    kept = np.load(tmp_path / "inputs" / "3-1.npy")
    assert np.array_equal(kept, Quantiser(16, 0.5).quantise(update, rounding))
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.stat().st_mode & 0o777 for path in written] == [0o600, 0o600]
    Recording(RecordSection()).seeds(3, ClientId(1), 99, rounding)


def test_the_account_of_one_client() -> None:
    fresh = Account.of(ClientId(4), ClientMemory())
    assert (fresh.smallest_group, fresh.leverage) == (None, None)
    assert "no statistics were opened" in as_text([fresh])
    memory = ClientMemory(
        rounds=5, all_attempts=4, openings=3, label_openings=1, totals=2, smallest_group=8
    )
    account = Account.of(ClientId(4), memory)
    assert account.to_dict() == {
        "client": 4, "rounds": 5, "attempts": 4, "openings": 3,
        "label_openings": 1, "totals": 2, "smallest_group": 8, "leverage": 0.125,
    }  # fmt: skip
    assert as_text([account]) == (
        "account of client 4: 5 rounds joined, 4 attempts, 3 openings (1 of label rows),"
        " 2 totals, smallest group 8 (leverage 0.12)"
    )
