"""Everything a session leaves behind, in the order in which it must become durable."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auror.deployment.logs import logger
from auror.privacy.account import account_of
from auror.round.facts import RoundEnded, RunFinished, ServerFact
from auror.round.policy import Policy
from auror.round.record import RoundRecord
from auror.round.server.context import RoundTotal
from auror.training.campaign import Campaign
from auror_server import checkpoint
from auror_server.metrics import RoundMeter
from auror_server.store import ACCOUNT, Store

_log = logger("run")


class Recorder:
    """Writes one run folder as rounds go by."""

    def __init__(self, store: Store, config_hash: str, keep_totals: bool) -> None:
        self._store = store
        self._config_hash = config_hash
        self._keep_totals = keep_totals

    @property
    def spool(self) -> Path:
        return self._store.folder / "spool"

    @property
    def dirty(self) -> bool:
        return self._store.dirty

    def note(self, fact: ServerFact) -> None:
        self._store.note(fact)

    def sync(self) -> None:
        self._store.sync()

    def conclude(
        self,
        campaign: Campaign,
        record: RoundRecord,
        total: RoundTotal | None,
        metrics: Mapping[str, float | None],
        meter: RoundMeter,
        now: float,
    ) -> None:
        """Record, model, verdict and checkpoint of one round; durable on return."""
        verdict = None if campaign.verdict is None else campaign.verdict.to_dict()
        seconds = round(meter.seconds(now), 6)
        if total is not None and self._keep_totals:
            self._store.keep_total(record.index, total.total)
        if campaign.state.models.trained:  # an initial model must not replace one that was trained
            self._store.keep_model(campaign.policy.task, campaign.state.models.model)
        if verdict is not None:
            self._store.keep_verdict(verdict)
        self._close(campaign, record, seconds, metrics, meter.line(record.index, now))
        _log.info(
            "round ended",
            index=record.index,
            era=record.era,
            accepted=len(record.accepted),
            flagged=list(campaign.flagged),
            suspected=list(campaign.suspected),
            aborted=None if record.aborted is None else record.aborted.value,
            seconds=seconds,
            **{name: round(value, 4) for name, value in metrics.items() if value is not None},
        )

    def pass_interrupted(self, campaign: Campaign) -> None:
        """Close every round that a crash broke off since the checkpoint: its id is never used
        again, and what clients may have counted in it stays counted (rule 3)."""
        for broken in self._store.interrupted(campaign.state.counter):
            record = campaign.interrupted(broken)
            self._close(campaign, record, 0.0, {}, None)
            _log.warning(
                "round was interrupted and is aborted", counter=broken.counter, index=record.index
            )

    def _close(
        self,
        campaign: Campaign,
        record: RoundRecord,
        seconds: float,
        metrics: Mapping[str, float | None],
        timings: Mapping[str, Any] | None,
    ) -> None:
        extra = {
            "seconds": seconds,
            "metrics": dict(metrics),
            "strength": None if campaign.verdict is None else campaign.verdict.strength,
            "required": None if campaign.verdict is None else campaign.verdict.required,
            "flagged_so_far": list(campaign.flagged),
        }
        self._store.announce_round(record, extra, timings)
        checkpoint.save(self._store.folder, campaign, self._config_hash, finished=False)
        self._store.keep_round()
        self._store.note(RoundEnded(record.round_id.counter))
        self._store.sync()

    def account(self, policy: Policy) -> None:
        """What the run opened, from all its records (``auror.privacy``)."""
        made = account_of(self._store.records(), policy.params)
        self._store.keep_json(ACCOUNT, made.to_dict())

    def finish(self, campaign: Campaign) -> None:
        """The training is over: nothing is left to resume."""
        if campaign.verdict is not None:
            self._store.keep_verdict(campaign.verdict.to_dict())
        checkpoint.save(self._store.folder, campaign, self._config_hash, finished=True)
        self._store.note(RunFinished())
        self._store.close()
