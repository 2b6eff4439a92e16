"""Everything a session leaves behind, in the order in which it must become durable."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auror.deployment.logs import logger
from auror.deployment.round_evidence import RoundEvidence
from auror.privacy.account import account_of
from auror.round.facts import ServerFact
from auror.round.policy import Policy
from auror.round.record import RoundRecord
from auror.round.server.context import RoundTotal
from auror.training.campaign import Campaign
from auror_server.metrics import RoundMeter
from auror_server.monitor import Monitor
from auror_server.state.rows import Closing
from auror_server.store import ACCOUNT, Store

_log = logger("run")


class Recorder:
    """Writes one run folder as rounds go by."""

    def __init__(self, store: Store, keep_totals: bool, monitor: Monitor | None = None) -> None:
        self._store = store
        self._keep_totals = keep_totals
        self._monitor = monitor or Monitor()
        self._published: NDArray[np.float32] | None = None

    @property
    def spool(self) -> Path:
        return self._store.folder / "spool"

    @property
    def dirty(self) -> bool:
        return self._store.state.dirty

    def note(self, fact: ServerFact) -> None:
        self._store.state.note(fact)

    def sync(self) -> None:
        self._store.state.sync()

    def conclude(
        self,
        campaign: Campaign,
        record: RoundRecord,
        total: RoundTotal | None,
        metrics: Mapping[str, float | None],
        meter: RoundMeter,
        now: float,
        evidence: RoundEvidence | None = None,
    ) -> None:
        """Record, model, verdict and state of one round; durable on return."""
        seconds = round(meter.seconds(now), 6)
        kept = total.total if total is not None and self._keep_totals else None
        extra = _extra(campaign, seconds, metrics)
        timings = meter.line(record.index, now)
        closing = Closing(
            record=record,
            extra=extra,
            timings=timings,
            total=kept,
            evidence=evidence,
            judged=campaign.defence.judged,
        )
        self._close(campaign, closing)
        self._monitor.concluded(campaign, record, timings, metrics)
        _log.info(
            "round ended",
            index=record.index,
            era=record.era,
            accepted=len(record.accepted),
            flagged=list(campaign.flagged),
            suspected=list(campaign.suspected),
            paused=list(campaign.state.paused),
            aborted=None if record.aborted is None else record.aborted.value,
            seconds=seconds,
            audit=self._store.state.audit_head,
            **{name: round(value, 4) for name, value in metrics.items() if value is not None},
        )

    def keep(self, campaign: Campaign) -> None:
        """Make durable what ``campaign`` begins with."""
        self._store.state.close_rounds([], campaign.state)

    def pass_interrupted(self, campaign: Campaign, lost: bool = False) -> None:
        """Close every round that a crash broke off: its id is never used again, and what clients
        may have counted in it stays counted (rule 3).

        ``lost``: the campaign goes on with an older model than theirs.
        """
        closings = []
        for broken in self._store.state.interrupted():
            record = campaign.interrupted(broken, lost)
            closings.append(Closing(record=record, extra=_extra(campaign, 0.0, {})))
            _log.warning(
                "round was interrupted and is aborted", counter=broken.counter, index=record.index
            )
        if closings or lost:
            self._close(campaign, *closings)
        else:
            self._publish(campaign)

    def _close(self, campaign: Campaign, *closings: Closing) -> None:
        verdict = None if campaign.verdict is None else campaign.verdict.to_dict()
        self._store.state.close_rounds(closings, campaign.state, verdict)
        if verdict is not None:
            self._store.keep_verdict(verdict)
        self._publish(campaign)

    def _publish(self, campaign: Campaign) -> None:
        """The model as a file of its own, always after the state that knows it; an initial model
        must not replace one that was trained."""
        models = campaign.state.models
        if models.trained and models.model is not self._published:
            self._store.keep_model(campaign.policy.task, models.model)
            self._published = models.model

    def account(self, policy: Policy) -> None:
        """What the run opened, from all its records (``auror.privacy``)."""
        made = account_of(self._store.state.records(), policy.params)
        self._store.keep_json(ACCOUNT, made.to_dict())

    def finish(self, campaign: Campaign) -> None:
        """The training is over: nothing is left to resume."""
        if campaign.verdict is not None:
            self._store.keep_verdict(campaign.verdict.to_dict())
        self._store.state.finish(campaign.state)


def _extra(
    campaign: Campaign, seconds: float, metrics: Mapping[str, float | None]
) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "metrics": dict(metrics),
        "strength": None if campaign.verdict is None else campaign.verdict.strength,
        "required": None if campaign.verdict is None else campaign.verdict.required,
        "flagged_so_far": list(campaign.flagged),
        "paused": list(campaign.state.paused),
        "by_hand": sorted(int(client) for client in campaign.by_hand),
    }
