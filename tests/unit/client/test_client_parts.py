"""The client's settings, memory on disk, samples and faults."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from auror_client.config import FaultsSection, RecordSection, load_config, parse_ids
from auror_client.faults import Faults, RoundClock, Vanish
from auror_client.journal import Journal
from auror_client.recording import Recording
from auror_client.trainer import SyntheticTrainer, TorchTrainer, make_trainers

from auror.crypto.entropy import Secret
from auror.errors import ConfigError, DataError
from auror.ids import ClientId, Digest
from auror.params import RoundParams
from auror.round.client.memory import ClientMemory
from auror.round.messages import Agreement, Upload
from auror.secagg.quantize import Quantiser

ROOT = Path(__file__).resolve().parents[3]


def test_ids_are_read() -> None:
    assert parse_ids("x", "0-3, 8") == (0, 1, 2, 3, 8)
    assert parse_ids("x", "") == ()
    with pytest.raises(ConfigError, match="write it like"):
        parse_ids("x", "a-3")


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("client.server=example", "host:port"),
        ("data.dataset=npz", r"data\.npz"),
        ("policy.min_cohort=1", "min_cohort = 1"),
        ("swarm.clients=x", r"swarm\.clients"),
        ("policy.min_cohrt=3", r"did you mean policy\.min_cohort"),
    ],
)
def test_settings_are_checked(flag: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_config(None, {}, [flag])


def test_the_sample_loads() -> None:
    assert load_config(ROOT / "deploy" / "client.toml", {}, []).policy.min_cohort == 3


def test_memory_survives_and_damage_is_not_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "house", ClientId(2))
    assert journal.load() == ClientMemory()
    memory = ClientMemory().joined(7).opened_total(Digest(b"m" * 32))
    journal.save(memory)
    assert Journal(tmp_path, "house", ClientId(2)).load() == memory
    assert Journal(tmp_path, "other", ClientId(2)).load() == ClientMemory()
    path = next(tmp_path.rglob("client-002.json"))
    path.write_text('{"counter": 7}')
    with pytest.raises(ConfigError, match="restore it"):
        journal.load()


def test_synthetic_updates_repeat_and_refuse_real_tasks() -> None:
    trainer = SyntheticTrainer()
    model = np.zeros(5, dtype=np.float32)
    update = trainer.train(b'{"synthetic": 5}', model, 3)
    assert update.tobytes() == trainer.train(b'{"synthetic": 5}', model, 3).tobytes()
    assert np.array_equal(update * 64, np.rint(update * 64))
    assert np.abs(update).max() <= 0.5
    with pytest.raises(ConfigError, match="load tests"):
        trainer.train(b'{"model": {}}', model, 3)


def test_own_samples_are_read(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    np.savez(path, x=np.zeros((3, 1, 4, 4)), y=np.array([0, 1, 1]))
    config = load_config(None, {}, ["data.dataset=npz", f'data.npz="{path}"'])
    assert isinstance(make_trainers(config, [ClientId(0)], 3)[ClientId(0)], TorchTrainer)
    np.savez(path, x=np.zeros((3, 4)), y=np.array([0, 1, 1]))
    with pytest.raises(DataError, match="x must be"):
        make_trainers(config, [ClientId(0)], 3)
    path.write_text("no")
    with pytest.raises(DataError, match="needs arrays"):
        make_trainers(config, [ClientId(0)], 3)


def test_a_part_that_does_not_exist_is_named() -> None:
    config = load_config(None, {}, ["data.dataset=digits", "data.parts=3", "data.part=3"])
    with pytest.raises(ConfigError, match=r"choose 0 … 2"):
        make_trainers(config, [ClientId(0)], 6)


def test_faults_are_drawn_alike_and_about_as_often_as_asked() -> None:
    faults = Faults(FaultsSection(dropout=0.4, seed=1))
    upload = Upload(b"", Digest(bytes(32)), {})
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
    Recording(RecordSection()).seeds(3, ClientId(1), 99, rounding)
