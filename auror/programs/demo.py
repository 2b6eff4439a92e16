"""The demonstration: three runs by plain averaging in this process, and the defended run for
real: the server program and client programs, gRPC, mutual TLS, throwaway certificates.

Afterwards the defended run is replayed from its recorded randomness. That proves that the
network computed what it should, and it is where the privacy account gets its truth from: the
server has nothing to compute it with.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from auror.deployment.certs import Terms, create_deployment
from auror.deployment.clean_samples import CleanSamples
from auror.deployment.run_reader import RunReader
from auror.errors import ConfigError, Excluded, UnavailableError
from auror.experiments.config import ExperimentConfig, Medium, RunName
from auror.experiments.experiment import plain_runs
from auror.experiments.prepared import Prepared
from auror.experiments.progress import Progress, Reporter
from auror.experiments.result import ExperimentResult, RunOutcome
from auror.files import claim_folder
from auror.params import DETECTOR, LABEL_PART, Budget
from auror.programs.enrol import caps_of
from auror.programs.processes import (
    RunningProgram,
    check_installed,
    free_address,
    programs,
    scratch_folder,
    terminated_cleanly,
    wait_until_listening,
)
from auror.programs.replay import RANDOMNESS, read_seeds, replay
from auror.round.record_json import record_from_json
from auror.training.config import AfterFlag

CLIENT_PROCESSES = 2
_POLL_SECONDS = 0.1
_HOST = "127.0.0.1"
Json = dict[str, Any]


def run_demo(config: ExperimentConfig, folder: Path, report: Reporter) -> ExperimentResult:
    """Run everything; server and clients leave their files below ``folder``.

    Raises:
        ConfigError: a setting does not fit the demonstration, or ``folder`` is in use.
        UnavailableError: a program did not come up or ended early; its last words are in the text.
    """
    if config.rule is not None or config.detector.name != DETECTOR:
        raise ConfigError(
            "the demo defends with auror and the decoded detector only: `auror simulate` has the"
            " others"
        )
    claim_folder(folder, "out")
    check_installed()
    # Three processes share the machine, and a replay needs the very same arithmetic.
    config = replace(config, device="cpu" if config.device == "auto" else config.device)
    started = time.perf_counter()
    with terminated_cleanly():
        prepared = Prepared.of(config)
        prepared.check_statistics()
        stages = {"prepare": time.perf_counter() - started}
        outcomes = plain_runs(prepared, report)
        stages |= {run.value: outcome.seconds for run, outcome in outcomes.items()}
        lines = _over_network(prepared, folder, report, stages)
        records = [record_from_json(line) for line in lines]
        beginning = time.perf_counter()
        made = replay(prepared, records, read_seeds(folder / RANDOMNESS), report)
        stages["replay"] = time.perf_counter() - beginning
    if made.first_difference is not None:
        raise UnavailableError(
            f"the replay differs from the network run after round {made.first_difference}: keep"
            f" {folder} and report it"
        )
    outcomes[RunName.DEFENDED] = RunOutcome(made.history, stages["defended"], made.model)
    return ExperimentResult(
        config=config,
        malicious=prepared.population.malicious,
        poisoned=dict(prepared.population.poisoned),
        outcomes=outcomes,
        defended=replace(made.defended, records=tuple(records)),
        seconds=time.perf_counter() - started,
        transport=Medium.GRPC,
        stages=stages,
        task=prepared.host.task,
        data=prepared.data,
    )


def _over_network(
    prepared: Prepared, folder: Path, report: Reporter, stages: dict[str, float]
) -> list[Json]:
    """The defended run with real programs; returns the server's round records."""
    config = prepared.config
    beginning = time.perf_counter()
    report(Progress(stage=RunName.DEFENDED, note="certificates and processes"))
    with scratch_folder() as scratch:
        certificates = scratch / "certs"
        create_deployment(certificates, config.clients, [_HOST], _terms(prepared))
        address = free_address(_HOST)
        with programs(folder / "logs") as starter:
            server = starter.server(
                _server_settings(prepared, address, certificates, folder / "server")
            )
            wait_until_listening(address, server)
            for number in range(CLIENT_PROCESSES):
                starter.clients(
                    _client_settings(prepared, address, certificates, folder, scratch, number),
                    f"clients-{number}",
                    fine=(0, Excluded.exit_code),
                )
            stages["start"] = time.perf_counter() - beginning
            reader = RunReader(folder / "server")
            lines: list[Json] = []
            while True:
                running = server.running()
                for line in reader.rounds()[len(lines) :]:
                    lines.append(line)
                    report(_progress(config, line))
                if not running:
                    break
                starter.check()
                time.sleep(_POLL_SECONDS)
            _check_finished(server, len(lines))
    stages["defended"] = time.perf_counter() - beginning
    return lines


def _terms(prepared: Prepared) -> Terms:
    config, host, data = prepared.config, prepared.host, prepared.data
    eras = 2 if config.after_flag is AfterFlag.RESTART else 1
    watched = config.round_params.rounds_of_doubt(config.clients)
    return Terms(
        params=config.round_params,
        task=host.task,
        first_models=tuple(host.initial(era) for era in range(eras)),
        budget=Budget.for_rounds(config.rounds, eras, watched),
        caps=caps_of((LABEL_PART,), host.output, config.round_params),
        clean=CleanSamples(data.clean_x, data.clean_y) if len(data.clean_y) else None,
    )


def _server_settings(
    prepared: Prepared, address: str, certificates: Path, run_dir: Path
) -> dict[str, Any]:
    config = prepared.config
    return {
        "server.listen": address,
        "server.health": "",
        "server.credentials": certificates / "server",
        "server.run_dir": run_dir,
        "server.report": False,  # the demo writes one that knows more
        "session.rounds": config.rounds,
        "session.min_clients": config.clients,
        "session.after_flag": config.after_flag.value,
        "session.flag_small_cohorts": config.flag_small_cohorts,
        "learning.task": _own_task(config),
        "learning.dataset": config.dataset,
        "learning.data_dir": _data_dir(config),
        "learning.device": config.device,
        "learning.seed": config.seed,
        "learning.report_attack": "" if config.attack is None else str(config.attack),
    }


def _client_settings(
    prepared: Prepared,
    address: str,
    certificates: Path,
    folder: Path,
    scratch: Path,
    number: int,
) -> dict[str, Any]:
    config = prepared.config
    mine = range(number, config.clients, CLIENT_PROCESSES)
    malicious = [str(client) for client in prepared.population.malicious if client in mine]
    return {
        "client.server": address,
        "client.credentials": certificates / "clients",
        "client.state": scratch / f"state-{number}",
        "client.device": config.device,
        "client.quiet": True,
        "swarm.clients": ",".join(map(str, mine)),
        "data.task": _own_task(config),
        "data.dataset": config.dataset,
        "data.data_dir": _data_dir(config),
        "data.partition": str(config.partition),
        "data.parts": config.clients,
        "data.seed": config.seed,
        "data.attack": str(config.attack) if malicious else "none",
        "data.malicious": ",".join(malicious),
        "record.randomness": folder / RANDOMNESS / f"clients-{number}.jsonl",
    }


def _own_task(config: ExperimentConfig) -> str:
    """What programs must be told before they import it; tasks that come along need no setting."""
    return config.task.name if config.task.own else ""


def _data_dir(config: ExperimentConfig) -> str:
    return "" if config.data_dir is None else str(config.data_dir.resolve())


def _progress(config: ExperimentConfig, line: Json) -> Progress:
    metrics, flagged = line["metrics"], line["flagged_so_far"]
    again = line["era"] > 0 or (flagged and config.after_flag is AfterFlag.RESTART)
    notes = ["restarted"] if line["era"] > 0 else []
    if line["aborted"] is not None:
        notes.append(f"aborted: {line['aborted'].lower().replace('_', ' ')}")
    return Progress(
        stage=RunName.DEFENDED,
        round=line["index"] + 1,
        rounds=config.rounds * (2 if again else 1),
        accuracy=metrics.get("accuracy"),
        attack_success=metrics.get("attack_success"),
        strength=line["strength"],
        required=line["required"],
        flagged=len(flagged),
        note=", ".join(["gRPC + mTLS", *notes]),
    )


def _check_finished(server: RunningProgram, rounds: int) -> None:
    server.check()
    if not rounds:
        raise UnavailableError(f"the server ended without a round: {server.last_line()}")
