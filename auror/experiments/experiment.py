"""The four runs of an experiment on the same data, the same initial model and the same seeds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from auror.experiments.config import ExperimentConfig, RunName
from auror.experiments.evidence import (
    decoded_evidence,
    finite,
    finite_or_none,
    strength_of,
    suspicion,
)
from auror.experiments.prepared import Prepared
from auror.experiments.progress import Progress, Reporter
from auror.experiments.result import (
    Defended,
    ExperimentResult,
    HistoryPoint,
    Metrics,
    RunOutcome,
    Suspicion,
    UnderRule,
)
from auror.experiments.ruled import ruled_run
from auror.ids import ClientId
from auror.params import PLAN_PARTS, PlanCaps
from auror.privacy.account import account_of
from auror.privacy.truth import TruthRecorder
from auror.round.arithmetic import quantiser
from auror.round.plan import StatisticsPlan
from auror.round.record import RoundRecord
from auror.sim.population import Population
from auror.sim.simulate import SimulatedRound
from auror.training.campaign import Campaign
from auror.training.config import AfterFlag
from auror.training.observations import how_found, usable


def run_experiment(config: ExperimentConfig, report: Reporter) -> ExperimentResult:
    """Run what ``config.runs`` names, all in this process.

    Raises:
        UserError: a setting or the data cannot be used.
    """
    started = time.perf_counter()
    prepared = Prepared.of(config)
    prepared.check_statistics()
    stages = {"prepare": time.perf_counter() - started}
    outcomes = plain_runs(prepared, report)
    defended: Defended | None = None
    under_rule: UnderRule | None = None
    if RunName.DEFENDED in config.runs and config.rule is not None:
        outcomes[RunName.DEFENDED], under_rule = ruled_run(prepared, config.rule, report)
    elif RunName.DEFENDED in config.runs:
        outcomes[RunName.DEFENDED], defended = simulated_run(prepared, report)
    stages |= {run.value: outcome.seconds for run, outcome in outcomes.items()}
    return ExperimentResult(
        config=config,
        malicious=prepared.population.malicious,
        poisoned=dict(prepared.population.poisoned),
        outcomes=outcomes,
        defended=defended,
        under_rule=under_rule,
        seconds=time.perf_counter() - started,
        stages=stages,
        task=prepared.host.task,
        data=prepared.data,
    )


def plain_runs(prepared: Prepared, report: Reporter) -> dict[RunName, RunOutcome]:
    """Those of the clean, undefended and oracle runs that were asked for, by plain averaging; they
    come first, so what is not claimed of the experiment is said here."""
    for line in (*prepared.config.warnings, *prepared.data.notes):
        report(Progress(stage="warning", note=line))
    everybody = tuple(prepared.population.x)
    choices: dict[RunName, tuple[Population, Sequence[ClientId]]] = {
        RunName.CLEAN: (prepared.honest, everybody),
        RunName.UNDEFENDED: (prepared.population, everybody),
        RunName.ORACLE: (prepared.population, prepared.population.honest()),
    }
    return {
        run: _average(prepared, run, population, tuple(cohort), report)
        for run, (population, cohort) in choices.items()
        if run in prepared.config.runs
    }


def simulated_run(prepared: Prepared, report: Reporter) -> tuple[RunOutcome, Defended]:
    """The defended run, in this process."""
    started = time.perf_counter()
    config = prepared.config
    watch = DefenceWatch(prepared, report)
    campaign = prepared.campaign_config()
    output, caps = prepared.host.output, PlanCaps(parts=PLAN_PARTS)
    if notice := how_found(usable(campaign.plan, prepared.host.dim, output, caps)):
        report(Progress(stage=RunName.DEFENDED, note=notice))
    result = prepared.simulate(
        campaign, prepared.population, watch.observe, config.aggregation, config.dropout
    )
    defended = watch.finish(result.campaign)
    seconds = time.perf_counter() - started
    return RunOutcome(tuple(watch.history), seconds, result.model), defended


@dataclass
class DefenceWatch:
    """Collects what a simulated defended run shows, round by round."""

    prepared: Prepared
    report: Reporter
    truth: TruthRecorder = field(default_factory=TruthRecorder)
    history: list[HistoryPoint] = field(default_factory=list)
    verdicts: list[Suspicion] = field(default_factory=list)
    records: list[RoundRecord] = field(default_factory=list)
    plan: StatisticsPlan | None = None
    clipped: float = 0.0
    stage: str = RunName.DEFENDED

    def observe(self, seen: SimulatedRound) -> None:
        metrics = self.prepared.metrics(seen.model)
        record, campaign = seen.record, seen.campaign
        self.history.append(HistoryPoint(record.index, record.era, metrics))
        self.truth.observe(record.index, seen.plan, seen.updates)
        self.records.append(record)
        quantise = quantiser(self.prepared.config.round_params)
        shares = (quantise.clipped_share(update) for update in seen.updates.values())
        self.clipped = max(self.clipped, *shares, 0.0)
        self.plan = seen.plan
        if campaign.verdict is not None:
            self.verdicts.append(suspicion(record.index, campaign.verdict, campaign.flagged))
        shown = defended_progress(self.prepared.config, record, metrics, campaign)
        self.report(replace(shown, stage=self.stage))

    def finish(self, campaign: Campaign) -> Defended:
        """Put together what the defended run is reported by."""
        self.report(Progress(stage=self.stage, note="privacy account"))
        params, verdict = self.prepared.config.round_params, campaign.verdict
        whole = self.plan and self.plan.with_challenge(bytes(32), params.challenge_rows)
        found = account_of(
            self.records, params, None if whole is None else whole.row_norms(), self.truth
        )
        plain_verdict = finite(verdict.to_dict()) if verdict is not None else None
        return Defended(
            records=tuple(self.records),
            flagged=campaign.flagged,
            verdict=plain_verdict if isinstance(plain_verdict, dict) else None,
            suspicion=tuple(self.verdicts),
            evidence=decoded_evidence(campaign.ledger, campaign.everybody),
            privacy=found.to_dict(),
            clipped=round(self.clipped, 6),
        )


def defended_progress(
    config: ExperimentConfig, record: RoundRecord, metrics: Metrics, campaign: Campaign
) -> Progress:
    """One round of a defended run, for the eye."""
    verdict = campaign.verdict
    again = record.era > 0 or (campaign.flagged and config.after_flag is AfterFlag.RESTART)
    notes = ["restarted"] if record.era > 0 else []
    if record.aborted is not None:
        notes.append(f"aborted: {record.aborted.value}")
    return Progress(
        stage=RunName.DEFENDED,
        round=record.index + 1,
        rounds=config.rounds * (2 if again else 1),
        accuracy=metrics.accuracy,
        attack_success=metrics.attack_success,
        strength=None if verdict is None else strength_of(verdict),
        required=None if verdict is None else finite_or_none(verdict.required),
        flagged=len(campaign.flagged),
        note=", ".join(notes),
    )


def _average(
    prepared: Prepared,
    run: RunName,
    population: Population,
    cohort: tuple[ClientId, ...],
    report: Reporter,
) -> RunOutcome:
    """Federated averaging (McMahan 2017) with uniform weights and everybody present."""
    started = time.perf_counter()
    trainer = prepared.trainer(population)
    model = prepared.host.initial(0)
    history = []
    for index in range(prepared.config.rounds):
        basis = prepared.known_matrix(model) if population.forged else None
        updates = trainer.train(model, cohort, index, basis)
        stacked = np.stack([updates[client] for client in cohort])
        model = (model + stacked.mean(axis=0, dtype=np.float64)).astype(np.float32)
        metrics = prepared.metrics(model)
        history.append(HistoryPoint(index, 0, metrics))
        report(
            Progress(
                stage=run,
                round=index + 1,
                rounds=prepared.config.rounds,
                accuracy=metrics.accuracy,
                attack_success=metrics.attack_success,
            )
        )
    return RunOutcome(tuple(history), time.perf_counter() - started, model)
