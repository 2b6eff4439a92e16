"""Phase 5, the server: one accepted set for everybody (docs/protocol.md steps 5.1, 5.5–5.6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from auror.crypto.tags import Tag
from auror.errors import AbortReason, RoundAborted
from auror.ids import ClientId, GroupIndex
from auror.round.messages import AcceptedSet, Agreement, AgreementList
from auror.round.public import agreement_parts, covers
from auror.round.record import OpenedGroup
from auror.round.server.context import Decision, Phase, RoundContext
from auror.round.server.p4_statistics import WithOpening
from auror.secagg.graph import Graph


@dataclass(frozen=True)
class Deciding(WithOpening):
    """Sums are opened; the defence is at work, no client is waited for."""


@dataclass(frozen=True)
class Proposal:
    """A, made of whole groups."""

    accepted_groups: tuple[GroupIndex, ...]
    accepted: tuple[ClientId, ...]
    """A"""
    left_out: Mapping[GroupIndex, str]
    """Groups of U3 that are not in A, and why."""

    @cached_property
    def everybody(self) -> frozenset[ClientId]:
        """A as a set."""
        return frozenset(self.accepted)

    def of(self, opened: tuple[OpenedGroup, ...]) -> list[OpenedGroup]:
        """The accepted ones among the opened groups."""
        chosen = set(self.accepted_groups)
        return [group for group in opened if group.index in chosen]


@dataclass(frozen=True)
class Decided(WithOpening):
    """The defence has spoken, nobody has been told."""

    decided: Proposal


@dataclass(frozen=True)
class WithProposal(WithOpening):
    """Every state from phase 5 on."""

    proposal: Proposal


@dataclass(frozen=True)
class Agreeing(WithProposal):
    """A is out, signatures under (T, h, A) come in."""

    phase: ClassVar[Phase] = Phase.AGREE
    agreed: dict[ClientId, bytes] = field(default_factory=dict)


def decide_on(state: WithOpening, decision: Decision) -> Proposal:
    """Step 5.1: A is the union of the accepted groups, and they were whole.

    Raises:
        ValueError: the decision names a group that was not opened.
    """
    members = {group.index: group.members for group in state.opening.opened}
    if not set(decision.accepted) <= members.keys():
        raise ValueError("only opened groups can be accepted")
    closed = "not whole: a member sent no statistics"
    left_out = {
        GroupIndex(k): decision.left_out.get(GroupIndex(k), closed)
        for k in range(len(state.draw.groups))
        if k not in decision.accepted
    }
    accepted = tuple(sorted(client for k in decision.accepted for client in members[k]))
    return Proposal(tuple(sorted(decision.accepted)), accepted, left_out)


def check_proposal(context: RoundContext, graph: Graph, proposal: Proposal) -> None:
    """Raises RoundAborted when too little is left; flags stay, the next round goes on."""
    groups, accepted = proposal.accepted_groups, proposal.accepted
    if len(groups) < context.params.min_accepted_groups:
        raise RoundAborted(AbortReason.TOO_FEW_ACCEPTED, f"{len(groups)} group(s)")
    lowest = context.floors.accepted
    if len(accepted) < lowest:
        raise RoundAborted(
            AbortReason.TOO_FEW_ACCEPTED, f"{len(accepted)} clients of at least {lowest}"
        )
    if not covers(context.topology, graph, frozenset(accepted)):
        raise RoundAborted(
            AbortReason.TOO_FEW_ACCEPTED, "too few neighbours of each other are left on the graph"
        )


def tell(state: Decided, clients: Iterable[ClientId]) -> dict[ClientId, AcceptedSet]:
    """Step 5.1: A, with the signatures of those whose shares the receiver holds; on the complete
    graph to all the same."""
    accepted, signed = state.decided.accepted, state.opening.signatures
    graph = state.wired.graph
    if graph.is_complete:
        return dict.fromkeys(clients, AcceptedSet(accepted, {c: signed[c] for c in accepted}))
    members = state.decided.everybody
    return {
        client: AcceptedSet(accepted, {c: signed[c] for c in graph.among(client, members)})
        for client in clients
    }


def take_agreement(
    context: RoundContext, state: Agreeing, sender: ClientId, message: Agreement
) -> None:
    """Step 5.5. Raises PeerMisbehaved for a signature under other sets."""
    parts = agreement_parts(context.transcript, state.draw.view, state.proposal.everybody)
    context.require_signed(sender, message.signature, "accepted set", Tag.AGREEMENT, *parts)
    state.agreed[sender] = message.signature


def close(context: RoundContext, state: Agreeing) -> AgreementList:
    """Step 5.6: the quorum's signatures go to everybody. Raises RoundAborted below Q."""
    context.require_quorum(len(state.agreed), AbortReason.TOO_FEW_AGREED)
    return AgreementList(dict(sorted(state.agreed.items())))
