"""Collects what a round's broadcast messages prove, as they leave."""

from __future__ import annotations

from dataclasses import replace

from auror.deployment.round_evidence import RoundEvidence
from auror.round.messages import (
    AcceptedSet,
    AgreementList,
    ConsistencyList,
    DealerList,
    KeyList,
    RandomnessList,
    RoundStart,
    ServerMessage,
    UploadList,
)
from auror.round.server.p0_advertise import WithKeys
from auror.round.server.p2_upload import WithUploads
from auror.round.server.p4_statistics import WithOpening
from auror.round.server.state import State


class EvidenceCollector:
    """Of one round."""

    def __init__(self, start: RoundStart) -> None:
        self.found = RoundEvidence(start.description, start.plan)

    def saw(self, message: ServerMessage, state: State) -> None:
        """``message`` goes to clients, of a server in ``state``: where each is shown a part of a
        list, the whole is there. A message that proves nothing to others is passed over."""
        found = self.found
        match message, state:
            case KeyList(), WithKeys() if not found.keys:
                self.found = replace(found, keys=state.wired.keys)
            case DealerList(dealers), _:
                self.found = replace(found, dealt=dealers)
            case UploadList(), WithUploads() if not found.digests:
                self.found = replace(found, digests=state.uploads.digests)
            case ConsistencyList(signatures), _:
                self.found = replace(found, consistency=signatures)
            case RandomnessList(randomness), _:
                self.found = replace(found, randomness=randomness)
            case AcceptedSet(accepted), WithOpening() if not found.views:
                views = {client: state.opening.signatures[client] for client in accepted}
                self.found = replace(found, accepted=accepted, views=views)
            case AgreementList(signatures), _:
                self.found = replace(found, agreed=signatures)
