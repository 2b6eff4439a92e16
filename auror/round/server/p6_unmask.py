"""Phase 6, the server: open the accepted total and bind it (docs/protocol.md steps 6.3–6.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from auror.crypto.entropy import Secret
from auror.ids import ClientId
from auror.round.binding import check_binding
from auror.round.messages import UpdateShares
from auror.round.server.context import Phase, RoundContext, RoundTotal
from auror.round.server.p1b_receipts import check_given
from auror.round.server.p5_agree import WithProposal
from auror.secagg.instance import SecretKind, UInt
from auror.secagg.server.unmask import sum_masked, unmask_sum


@dataclass(frozen=True)
class Unmasking(WithProposal):
    """A quorum has signed A, shares come in. From here on clients help to open a total."""

    phase: ClassVar[Phase] = Phase.UNMASK

    @cached_property
    def absent(self) -> frozenset[ClientId]:
        """U2 \\ A: whose mask keys are restored."""
        return self.dealers.everybody - self.proposal.everybody


@dataclass(frozen=True)
class TotalOpened(WithProposal):
    """The accepted total is open, and not bound yet."""

    total: UInt = field(repr=False)
    """Σ q_i over A, (d,), in the ring of the updates."""


def take_shares(
    context: RoundContext, state: Unmasking, sender: ClientId, message: UpdateShares
) -> None:
    """Step 6.3. Raises PeerMisbehaved when shares are not the asked or the committed ones, or one
    is missing that its receipt says it has."""
    accepted = state.proposal.everybody
    shares = message.shares
    check_given(state, sender, accepted, shares.self_seeds.keys())
    check_given(state, sender, state.absent, shares.mask_keys.keys())
    context.collector.add(sender, SecretKind.SELF_SEED, shares.self_seeds)
    context.collector.add(sender, SecretKind.MASK_KEY, shares.mask_keys)


def close(context: RoundContext, state: Unmasking) -> UInt:
    """Step 6.4: the total, (d,).

    To this sum, a client that was left out is exactly a dropout: its mask key is restored, its
    self-mask seed never.

    Raises:
        RoundAborted: too few shares, or a bad dealing.
    """
    seeds, absent = restored_secrets(context, state)
    return unmasked(context, state, state.proposal.accepted, seeds, absent)


def bind(state: TotalOpened) -> RoundTotal:
    """Step 6.5. Raises RoundAborted when the binding check fails."""
    accepted = state.proposal.of(state.opening.opened)
    lifted = check_binding(state.draw.plan, state.total, accepted)
    return RoundTotal(lifted, state.proposal.accepted)


def restored_secrets(
    context: RoundContext, state: WithProposal
) -> tuple[dict[ClientId, Secret], dict[ClientId, Secret]]:
    """The self-mask seeds of A and the mask keys of U2 \\ A. Raises RoundAborted."""
    accepted, everybody = state.proposal.everybody, state.dealers.dealt
    wanted = {c: SecretKind.SELF_SEED if c in accepted else SecretKind.MASK_KEY for c in everybody}
    restored = context.collector.restore(wanted, state.wired.graph.ring)
    return (
        {c: secret for c, secret in restored.items() if c in accepted},
        {c: secret for c, secret in restored.items() if c not in accepted},
    )


def unmasked(
    context: RoundContext,
    state: WithProposal,
    clients: tuple[ClientId, ...],
    seeds: dict[ClientId, Secret],
    absent: dict[ClientId, Secret],
) -> UInt:
    """The sum over the uploads of ``clients`` without their self masks, and without those against
    ``absent``; of ``clients`` = A, all masks are gone."""
    sum_context = context.update_context()
    return unmask_sum(
        sum_context,
        state.wired.graph,
        sum_masked(sum_context, context.uploads, clients, context.spread),
        {client: seeds[client] for client in clients},
        absent,
        {client: keys.update_mask for client, keys in state.wired.keys.items()},
        context.spread,
    )
