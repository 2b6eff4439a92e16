"""The trained model at a client: kept whole or not at all, refused, declined, or missed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from auror_client.config import ClientConfig, ClientSection
from auror_client.driver import ClientEnding
from auror_client.final_model import check_released, make_folders
from line import ME, Bench, Line, Round, played
from rounds_kit import DIM

from auror.deployment.credentials import ClientCredentials, TlsFiles
from auror.deployment.model_file import model_bytes, read_model
from auror.deployment.policy_file import POLICY_FILE, parse_policy
from auror.deployment.released import read_released
from auror.errors import ConfigError, ModelMissing, UnavailableError
from auror.ids import NO_ROUND, ClientId
from auror.round.description import model_digest
from auror.round.messages import FinalModel, RoundEnd
from auror.wire import codec
from auror.wire.frames import server_frames
from auror.wire.limits import Kind
from auror.wire.v1 import transport_pb2 as pb


def final_of(bench: Bench, model: np.ndarray, step: int = 1) -> FinalModel:
    first = bench.house.model(0)
    digest = bench.house.policy.digest()
    return FinalModel(digest, 0, step, model_digest(first), model_digest(model), model)


def trained(bench: Bench) -> np.ndarray:
    return np.asarray(bench.house.model(0) + np.float32(0.25), dtype=np.float32)


def frames_of(final: FinalModel) -> list[pb.ServerFrame]:
    cut = server_frames(NO_ROUND, Kind.FINAL_MODEL, codec.encode_server(final))
    return [pb.ServerFrame.FromString(frame) for frame in cut]


async def one_round(bench: Bench, line: Line, model: np.ndarray) -> asyncio.Task[ClientEnding]:
    """Client 0 plays a whole round and is told of ``model``; its session, under way."""
    game = Round(bench)
    running = asyncio.create_task(bench.session.run())
    game.ask(line)
    await game.hear(line, 3)
    await bench.trainings.begun(1)
    bench.trainings.finish(0)
    while game.finished is None:
        await game.hear(line)
    line.tell(game.round_id, RoundEnd(model_digest(model), None, (), ()))
    return running


def kept_in(bench: Bench) -> Path:
    assert bench.model_folder is not None
    return bench.model_folder


def test_the_model_is_kept_as_a_servers_run_folder_has_it(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        line, model = bench.line(), trained(bench)
        running = await one_round(bench, line, model)
        line.tell(NO_ROUND, final_of(bench, model))
        line.goodbye()
        assert await running is ClientEnding.FINISHED
        folder, policy = kept_in(bench), bench.house.policy
        assert sorted(path.name for path in folder.iterdir()) == [
            "model.safetensors", "policy.json", "released.json",
        ]  # fmt: skip
        assert (folder / "model.safetensors").read_bytes() == model_bytes(policy.task, model)
        assert parse_policy((folder / POLICY_FILE).read_bytes()) == policy
        found = read_released(folder)
        assert (found.client, found.era, found.step) == (0, 0, 1)
        check_released([bench.session.answering.final])

    played(tmp_path, scene)


def test_half_a_model_replaces_nothing_and_the_next_connection_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auror.wire.frames.CHUNK_BYTES", 200)  # the invitation and this do not fit

    async def scene(bench: Bench) -> None:
        folder, earlier = kept_in(bench), np.zeros(DIM, dtype=np.float32)
        folder.mkdir(parents=True)
        old = model_bytes(bench.house.policy.task, earlier)
        (folder / "model.safetensors").write_bytes(old)
        first, second, model = bench.line(), bench.line(), trained(bench)
        running = await one_round(bench, first, model)
        frames = frames_of(final_of(bench, model))
        header, body = frames[0], frames[1].chunk
        first.frame(header)
        first.frame(pb.ServerFrame(chunk=body[:-1]))
        first.lose()
        while not bench.clock.pauses:
            await asyncio.sleep(0)
        assert (folder / "model.safetensors").read_bytes() == old
        assert not bench.session.answering.final.settled
        second.tell(NO_ROUND, final_of(bench, model))
        second.goodbye()
        assert await running is ClientEnding.FINISHED
        assert np.array_equal(read_model(folder / "model.safetensors"), model)
        check_released([bench.session.answering.final])

    played(tmp_path, scene)


def test_with_the_model_and_without_the_goodbye_the_session_is_over(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        line, model = bench.line(), trained(bench)
        running = await one_round(bench, line, model)
        line.tell(NO_ROUND, final_of(bench, model))
        line.lose()
        assert await running is ClientEnding.FINISHED
        assert len(bench.network.tried) == 1

    played(tmp_path, scene)


def test_a_server_that_is_gone_after_the_last_round_says_whom_to_ask(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        line = bench.line()
        running = await one_round(bench, line, trained(bench))
        line.lose()
        with pytest.raises(UnavailableError, match="ask the operator for the model") as error:
            await running
        assert error.value.exit_code == 5

    played(tmp_path, scene, give_up_after=5.0)


def test_a_forged_model_is_refused_and_the_one_before_stays(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        line, model = bench.line(), trained(bench)
        running = await one_round(bench, line, model)
        line.tell(NO_ROUND, final_of(bench, model + np.float32(0.01)))
        line.goodbye()
        assert await running is ClientEnding.FINISHED
        assert not kept_in(bench).exists()
        with pytest.raises(ModelMissing, match=r"was refused .*told at the end") as error:
            check_released([bench.session.answering.final])
        assert error.value.exit_code == 9
        assert "\n" not in str(error.value)

    played(tmp_path, scene)


def test_a_goodbye_without_the_promised_model_is_an_error(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.line().goodbye()
        assert await bench.session.run() is ClientEnding.FINISHED
        with pytest.raises(ModelMissing, match="without the final model, which the policy"):
            check_released([bench.session.answering.final])

    played(tmp_path, scene)


def test_a_model_that_is_not_wanted_is_not_read(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.model_folder = None
        session, line = bench.started(), bench.line()
        line.frame(frames_of(final_of(bench, trained(bench)))[0])  # and no more
        assert await session.run() is ClientEnding.FINISHED
        check_released([session.answering.final])

    played(tmp_path, scene)


def test_a_model_that_the_policy_keeps_back_is_not_kept(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        house = bench.house
        house.policy = replace(house.policy, release_model=False).signed(house.operator)
        bench.model_folder = None  # as make_folders has it
        journal = tmp_path / "other"
        bench.journal.__exit__(None, None, None)
        bench.journal = type(bench.journal)(journal, house.policy.name, ME)
        session, line = bench.started(), bench.line()
        line.tell(NO_ROUND, final_of(bench, trained(bench)))
        line.goodbye()
        assert await session.run() is ClientEnding.FINISHED
        final = session.answering.final
        assert final.refused is not None
        assert "release_model = false" in str(final.refused)
        check_released([final])

    played(tmp_path, scene)


def test_a_disk_that_takes_nothing_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def scene(bench: Bench) -> None:
        line = bench.line()
        line.tell(NO_ROUND, final_of(bench, trained(bench)))
        monkeypatch.setattr("auror.deployment.released.replace_file", full)
        with pytest.raises(ConfigError, match=r"client\.model: .* \(No space left on device\)"):
            await bench.session.run()

    played(tmp_path, scene)


# Where it goes -----------------------------------------------------------------------------------


def members(bench: Bench, ids: tuple[int, ...], release: bool = True) -> list[ClientCredentials]:
    policy = replace(bench.house.policy, release_model=release)
    tls = TlsFiles(b"", b"", b"")
    operator = bench.house.operator.verify_key
    return [
        ClientCredentials(tls, policy, ClientId(i), bench.house.keys[ClientId(i)], operator)
        for i in ids
    ]


def configured(tmp_path: Path, **settings: object) -> ClientConfig:
    return ClientConfig(client=ClientSection(state=tmp_path / "state", **settings))  # type: ignore[arg-type]


def test_folders_by_setting(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        two = members(bench, (0, 3))
        home = tmp_path / "state" / two[0].policy.name
        found = make_folders(configured(tmp_path), two)
        assert [one.folder for one in found.values()] == [home / "client-000", home / "client-003"]
        assert all(one.missing and not one.declined for one in found.values())
        own = make_folders(configured(tmp_path, model=f"{tmp_path}/m"), two[:1])[ME]
        assert own.folder == tmp_path / "m"
        none = make_folders(configured(tmp_path, model=""), two)[ME]
        assert (none.folder, none.declined, none.missing) == (None, True, False)
        back = make_folders(configured(tmp_path), members(bench, (0,), release=False))[ME]
        assert (back.folder, back.declined, back.missing) == (None, False, False)
        with pytest.raises(
            ConfigError, match=r"2 clients would share one folder: write \{client\}"
        ):
            make_folders(configured(tmp_path, model=f"{tmp_path}/m"), two)
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "state.db").write_text("")
        with pytest.raises(ConfigError, match=r"client\.model = .* holds other files"):
            make_folders(configured(tmp_path, model=f"{tmp_path}/m"), two[:1])

    played(tmp_path, scene)
