"""A server that is killed and started again on its run folder, under clients that live on.

Campaign, recorder, store and client machines are the real ones. A kill drops everything that the
server had in memory; what was not durable by then is lost.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from audit_kit import audited
from auror_server.evidence import EvidenceCollector
from auror_server.metrics import RoundMeter
from auror_server.recorder import Recorder
from auror_server.state.identity import RunIdentity
from auror_server.state.opening import begin, resume
from auror_server.store import Store
from campaign_kit import PLAN, Host, Scripted
from rounds_kit import PARAMS, Deployment, answer, rounding

from auror.audit.verify import Verified, verify_audit
from auror.crypto.entropy import system_entropy
from auror.ids import ClientId
from auror.round.client.machine import ClientMachine
from auror.round.client.state import Reply
from auror.round.description import model_digest
from auror.round.messages import AcceptedSet, ClientMessage, RoundEnd, ServerMessage
from auror.round.record import RoundRecord
from auror.round.server.context import Aborted, Finished, Opened, Persist, Send
from auror.round.server.machine import RoundServer
from auror.training.campaign import Campaign
from auror.training.config import CampaignConfig


class Killed(BaseException):
    """The process is gone."""


class KilledServer:
    """Plays rounds on ``folder``; see the module."""

    def __init__(
        self, folder: Path, rounds: int, flags: dict[int, set[int]] | None = None, clients: int = 9
    ) -> None:
        """``flags``: as of ``campaign_kit.Scripted``; a flag leads to a restart of the training."""
        self.folder = folder
        self.house = Deployment(
            clients,
            params=replace(PARAMS, challenge_rows=0),
            task=Host.task,
            first_models=tuple(model_digest(Host().initial(era)) for era in (0, 1)),
        )
        self.detector = Scripted(flags or {})
        self._config = CampaignConfig(rounds=rounds, plan=PLAN, detector=self.detector)
        self._store: Store | None = None
        self.machines: dict[ClientId, ClientMachine] = self.house.machines()
        self.start()

    def start(self, generation: int | None = None) -> None:
        """As after a kill, or for the first time. ``generation``: to fall back to."""
        if self._store is not None:
            self._leave_as_it_is()
        identity = RunIdentity(self.house.policy, "test")
        resumed = resume(self.folder, identity, generation, Host().initial)
        state = None if resumed is None else resumed.state
        self.campaign = Campaign(self._config, Host(), self.house.policy, system_entropy, state)
        run = begin(self.folder, identity, self.campaign.state) if resumed is None else resumed.run
        audited(run, self.house, self.campaign.state)
        self._store = Store(self.folder, run)
        self._recorder = Recorder(self._store, keep_totals=True)
        if resumed is not None:
            self._recorder.pass_interrupted(self.campaign, resumed.lost)

    def _leave_as_it_is(self) -> None:
        """Go on in a copy of the folder: closing the files would tidy them up."""
        left = self.folder.with_name(f"{self.folder.name}-")
        shutil.copytree(self.folder, left)
        self._store.close()
        self.folder = left

    def finish(self) -> None:
        """As a server that has trained its rounds."""
        self._recorder.finish(self.campaign)

    def verified(self) -> Verified:
        """Raises AuditBroken when the audit so far does not hold."""
        return verify_audit(self.folder, detector=lambda _: self.detector)

    def round(self, kill_at: type[ServerMessage] | None = None) -> RoundRecord | None:
        """Play the next round; None when the training is over.

        Raises:
            Killed: everybody has read and answered a message of the kind ``kill_at``, and nobody
                reads the answers. The server can only be started again.
        """
        start = self.campaign.next_round()
        if start is None:
            return None
        server, meter = RoundServer(start, self.house.policy, {}), RoundMeter(0.0)
        evidence = EvidenceCollector(start)
        queue, total, aborted = server.start(), None, None
        while queue or not server.over:
            if not queue:
                queue = server.on_deadline()
            match queue.pop(0):
                case Persist(fact):
                    self._recorder.note(fact)
                case Opened(groups, plan):
                    queue += server.on_decision(self.campaign.decide(groups, plan))
                case Finished(found):
                    total = found
                case Aborted(reason):
                    aborted = reason
                case Send(to, message):
                    evidence.saw(message, server.state)
                    self._recorder.sync()
                    answers = self._answers(to, message, start.description.round_id.counter)
                    if kill_at is not None and isinstance(message, kill_at):
                        raise Killed
                    for client, reply in answers:
                        queue += server.on_message(client, reply)
        end, record = self.campaign.finish(server.summary, total, aborted)
        self._recorder.conclude(self.campaign, record, total, {}, meter, 0.0, evidence.found)
        if kill_at is RoundEnd:
            raise Killed
        for client in record.cohort:
            self.machines[client].on_message(end)
        return record

    def play_with_a_crash(self) -> None:
        """A round, one that a crash breaks off, and all that are left."""
        self.round()
        with pytest.raises(Killed):
            self.round(kill_at=AcceptedSet)
        self.start()
        while self.round() is not None:
            pass

    def _answers(
        self, to: Iterable[ClientId], message: ServerMessage, counter: int
    ) -> list[tuple[ClientId, ClientMessage]]:
        updates = self.house.updates()
        return [
            (client, effect.message)
            for client in to
            for effect in answer(
                self.machines[client], message, updates[client], rounding(client, counter)
            )
            if isinstance(effect, Reply)
        ]
