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


class EvidenceCollector:
    """Of one round."""

    def __init__(self, start: RoundStart) -> None:
        self.found = RoundEvidence(start.description, start.plan)

    def saw(self, message: ServerMessage) -> None:
        """``message`` goes to clients; one that proves nothing to others is passed over."""
        found = self.found
        match message:
            case KeyList(keys):
                self.found = replace(found, keys=keys)
            case DealerList(dealers):
                self.found = replace(found, dealt=dealers)
            case UploadList(digests):
                self.found = replace(found, digests=digests)
            case ConsistencyList(signatures):
                self.found = replace(found, consistency=signatures)
            case RandomnessList(randomness):
                self.found = replace(found, randomness=randomness)
            case AcceptedSet(accepted, signatures):
                self.found = replace(found, accepted=accepted, views=signatures)
            case AgreementList(signatures):
                self.found = replace(found, agreed=signatures)
