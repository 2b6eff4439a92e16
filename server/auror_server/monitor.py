"""What a server says to monitors, in Prometheus' terms (docs/operating.md lists every metric).

Counts only: no client is named, and nothing is said of a round that its record does not hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from auror.errors import AbortReason, DropReason, Refusal
from auror.privacy.account import STATISTICS_ENTRY_BITS
from auror.round.policy import Policy
from auror.round.record import MarkKind, RoundRecord
from auror.round.server.context import Phase
from auror.training.campaign import Campaign
from auror.version import __version__
from auror_server.standing import IDLE, STARTING, Activity

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
FRESH_S = 1.0
"""How long an answer serves for whoever asks again."""
_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800)
_PHASES = tuple(phase.name.lower() for phase in Phase)
_TOTAL = "total"
_BUDGET = ("attempts", "totals", "disputed", "steps", "trainings")
_FROM_RECORDS = ("flagged", "suspected", "excluded", "paused")
_CLIENTS = ("members", "connected", "waited_for", "excluded_by_hand", *_FROM_RECORDS)


class Monitor:
    """The metrics of one process, over all its trainings."""

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        self.standing: Callable[[], Mapping[str, Any]] = STARTING.copy
        """What the session does now, and …"""
        self.policy: Callable[[], Policy] | None = None
        """… by which policy; asked in the event loop's thread."""
        self._text, self._made = b"", -FRESH_S
        self._refused: dict[str, int] = {}
        ProcessCollector(registry=own)
        _gauge(own, "build_info", "1", "version").labels(__version__).set(1)
        # live
        self._activity = _gauge(own, "activity", "1 for what the server does", "activity")
        self._phase = _gauge(own, "phase", "1 for the phase of the round in progress", "phase")
        self._phase_now = _gauge(own, "phase_elapsed_seconds", "Since that phase began")
        self._deadline = _gauge(own, "deadline_seconds", "Until it goes on without the missing")
        self._stopping = _gauge(own, "stopping", "1 once the server was told to end")
        self._clients = _gauge(own, "clients", "Clients by state; one may have several", "state")
        self._version = _gauge(own, "policy_version", "Version of the policy")
        self._expires = _gauge(
            own, "expires_timestamp_seconds", "When a file expires, Unix time", "file"
        )
        self._refusals = Counter(
            "auror_refusals", "Messages and streams that were refused", ["reason"], registry=own
        )
        # of rounds that are over
        self._rounds = Counter(
            "auror_rounds", 'Rounds by result: "total", or why there is none', ["result"],
            registry=own,
        )  # fmt: skip
        self._round_seconds = Histogram(
            "auror_round_seconds", "Of a whole round", buckets=_SECONDS, registry=own
        )
        self._phase_seconds = Histogram(
            "auror_phase_seconds", "Of each phase of a round", ["phase"], buckets=_SECONDS,
            registry=own,
        )  # fmt: skip
        self._bytes = Counter(
            "auror_round_bytes", "Bodies of messages: up to the server, down to clients",
            ["direction"], registry=own,
        )  # fmt: skip
        self._drops = Counter(
            "auror_client_drops", "Clients that left a round, by reason", ["reason"], registry=own
        )
        self._withdrawals = Counter(
            "auror_client_withdrawals", "Clients that would not go on, by reason", ["reason"],
            registry=own,
        )  # fmt: skip
        self._marks = Counter(
            "auror_marks", "What failed checks proved, by kind", ["kind"], registry=own
        )
        self._flags = Counter("auror_flags", "Permanent flags that fell", registry=own)
        self._audits = Counter(
            "auror_audited_groups", "Groups that an audit left out of a total", registry=own
        )
        self._opened = Counter(
            "auror_opened_statistics_bits", "64 for each opened number of a group", registry=own
        )
        self._groups = Counter(
            "auror_opened_groups", "Groups whose statistics were opened", registry=own
        )
        self._accepted = _gauge(own, "accepted_clients", "In the newest total")
        self._budget = _gauge(
            own, "budget_left", "Of every client's budget, as far as this run used it", "what"
        )
        self._done = _gauge(
            own, "training_rounds", "Of this training: done, failed, planned", "state"
        )
        self._era = _gauge(own, "era", "Which training under the policy, from 0")
        self._strength = _gauge(own, "verdict_strength", "Of the newest verdict; NaN: none")
        self._required = _gauge(own, "verdict_required", "What it takes to flag; NaN: none")
        self._measured = _gauge(
            own, "test_metric", "On the server's own samples, after the newest round", "name"
        )
        self._begin()

    def text(self) -> bytes:
        """What a monitor reads. Only for the event loop's thread."""
        now = time.monotonic()
        if now - self._made >= FRESH_S:
            self._look()
            self._text, self._made = prometheus_client.generate_latest(self.registry), now
        return self._text

    def idle(self) -> None:
        """No training is under way; what was counted stays."""
        self.standing, self.policy = IDLE.copy, None

    def expires(self, file: str, when: float) -> None:
        """``file`` (certificate, policy) is valid until ``when``, Unix seconds."""
        self._expires.labels(file).set(when)

    def trains(self, campaign: Campaign) -> None:
        """Where ``campaign`` is, between two rounds."""
        state, budget = campaign.state, campaign.policy.budget
        for what, left in zip(
            _BUDGET,
            (
                budget.max_openings - state.attempts,
                budget.max_totals - state.totals,
                budget.max_disputed - state.conduct.disputed,
                budget.max_steps - state.models.step,
                campaign.policy.eras - state.models.era - 1,
            ),
            strict=True,
        ):
            self._budget.labels(what).set(left)
        self._done.labels("done").set(state.models.era_round)
        self._done.labels("failed").set(state.models.failed)
        self._done.labels("planned").set(state.rounds)
        self._era.set(state.models.era)
        groups = campaign.flagged, campaign.suspected, state.conduct.uninvited, state.paused
        for name, clients in zip(_FROM_RECORDS, groups, strict=True):
            self._clients.labels(name).set(len(clients))

    def concluded(
        self,
        campaign: Campaign,
        record: RoundRecord,
        timings: Mapping[str, Any],
        metrics: Mapping[str, float | None],
    ) -> None:
        """A round is over. ``timings``: as ``RoundMeter.line`` has them."""
        aborted = record.aborted
        self._rounds.labels(_TOTAL if aborted is None else aborted.name.lower()).inc()
        self._round_seconds.observe(timings["seconds"])
        for phase, measured in timings["phases"].items():
            self._phase_seconds.labels(phase).observe(measured["seconds"])
        self._bytes.labels("up").inc(timings["bytes_up"])
        self._bytes.labels("down").inc(timings["bytes_down"])
        for reason in record.dropped.values():
            if reason is not DropReason.REFUSED:
                self._drops.labels(reason.name.lower()).inc()
        for refusal in record.withdrawn.values():
            self._withdrawals.labels(refusal.name.lower()).inc()
        for mark in record.marks:
            self._marks.labels(mark.kind.name.lower()).inc()
        self._flags.inc(len(record.flagged))
        self._audits.inc(len(record.audited))
        self._groups.inc(len(record.opened))
        entries = sum(len(group.total) for group in record.opened)
        self._opened.inc(entries * STATISTICS_ENTRY_BITS)
        if aborted is None:
            self._accepted.set(len(record.accepted))
        verdict = campaign.verdict
        self._strength.set(_number(None if verdict is None else verdict.strength))
        self._required.set(_number(None if verdict is None else verdict.required))
        for name, value in metrics.items():
            self._measured.labels(name).set(_number(value))
        self.trains(campaign)

    def _begin(self) -> None:
        """Whatever can be counted begins at 0: a rate needs the value before the first."""
        for counter, labels in (
            (self._rounds, (_TOTAL, *(reason.name.lower() for reason in AbortReason))),
            (self._drops, (r.name.lower() for r in DropReason if r is not DropReason.REFUSED)),
            (self._withdrawals, (refusal.name.lower() for refusal in Refusal)),
            (self._marks, (kind.name.lower() for kind in MarkKind)),
            (self._bytes, ("up", "down")),
        ):
            for label in labels:
                counter.labels(label)
        for phase in _PHASES:
            self._phase_seconds.labels(phase)
        self._strength.set(_number(None))
        self._required.set(_number(None))

    def _look(self) -> None:
        """What is true at the moment."""
        now = self.standing()
        for activity in Activity:
            self._activity.labels(activity.name.lower()).set(now["activity"] == activity.value)
        for phase in _PHASES:
            self._phase.labels(phase).set(now["phase"] == phase)
        self._phase_now.set(now["phase_s"] or 0.0)
        self._deadline.set(_number(now["deadline_s"]))
        self._stopping.set(now["stopping"])
        for state in ("connected", "waiting_for", "by_hand"):
            name = {"waiting_for": "waited_for", "by_hand": "excluded_by_hand"}.get(state, state)
            self._clients.labels(name).set(len(now[state]))
        if self.policy is not None:
            policy = self.policy()
            self._clients.labels("members").set(len(policy.members))
            self._version.set(policy.version)
            self.expires("policy", policy.expires)
        for reason, times in now["refused"].items():
            before = self._refused.get(reason, 0)
            # a session counts from 0
            self._refusals.labels(reason).inc(times - before if times >= before else times)
            self._refused[reason] = times


def _gauge(registry: CollectorRegistry, name: str, meaning: str, *labels: str) -> Gauge:
    return Gauge(f"auror_{name}", meaning, labels, registry=registry)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
