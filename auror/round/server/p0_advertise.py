"""Phase 0, the server: collect signed keys (docs/protocol.md steps 0.5–0.7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from auror.crypto.kex import check_public_key
from auror.crypto.tags import Tag
from auror.errors import AbortReason, AuthenticationFailed, DropReason, PeerMisbehaved
from auror.ids import ClientId
from auror.round.lists import AllKeys
from auror.round.messages import AdvertisedKeys, KeyList
from auror.round.public import draw_graph
from auror.round.server.context import Phase, RoundContext
from auror.secagg.graph import Graph


@dataclass(frozen=True)
class Advertising:
    """Invitations are out, keys come in."""

    phase: ClassVar[Phase] = Phase.ADVERTISE
    keys: dict[ClientId, AdvertisedKeys] = field(default_factory=dict)


@dataclass(frozen=True)
class Wired:
    """U1, and who holds whose shares."""

    listed: AllKeys
    graph: Graph

    @property
    def keys(self) -> Mapping[ClientId, AdvertisedKeys]:
        """Of U1."""
        return self.listed.keys

    @cached_property
    def everybody(self) -> frozenset[ClientId]:
        """U1 as a set."""
        return frozenset(self.keys)


@dataclass(frozen=True)
class WithKeys:
    """Every state from phase 1 on."""

    wired: Wired


def take_keys(
    context: RoundContext, state: Advertising, sender: ClientId, keys: AdvertisedKeys
) -> None:
    """Step 0.5.

    Raises:
        PeerMisbehaved: not signed over this T, as by a client that was given another model; or
            a key that somebody else advertised, or that no secret can be agreed with.
    """
    parts = context.transcript, *keys.signed_parts()
    context.require_signed(sender, keys.signature, "advertised keys", Tag.ADVERTISE, *parts)
    wanted, cohort = keys.floors, len(context.description.cohort)
    if max(wanted.present, wanted.accepted) > cohort or wanted.group > context.params.group_size:
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "floors that this round cannot meet")
    own = keys.public_keys()
    if len(set(own)) < 3 or any(context.owners.get(key, sender) != sender for key in own):
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "a key is not its own")
    try:
        for key in own:
            check_public_key(key)
    except AuthenticationFailed as error:
        raise PeerMisbehaved(sender, DropReason.MALFORMED, "a degenerate key") from error
    context.owners.update(dict.fromkeys(own, sender))
    state.keys[sender] = keys


def close(context: RoundContext, state: Advertising) -> Wired:
    """Steps 0.6–0.7: U1 is fixed. Raises RoundAborted when it is too small."""
    context.require_present(len(state.keys), AbortReason.TOO_FEW_ADVERTISED)
    return wire(context, state.keys)


def wire(context: RoundContext, keys: Mapping[ClientId, AdvertisedKeys]) -> Wired:
    """U1 and the graph that it draws."""
    listed = AllKeys(keys, context.committee)
    cohort = context.description.cohort
    graph = draw_graph(context.topology, context.transcript, cohort, listed.digest)
    return Wired(listed, graph)


def tell(wired: Wired, clients: Iterable[ClientId]) -> dict[ClientId, KeyList]:
    """Step 0.6: to each of ``clients`` its own keys and its neighbours'; on the complete graph to
    all the same."""
    if wired.graph.is_complete:
        return dict.fromkeys(clients, wired.listed.list_for(wired.keys))
    near = wired.graph.neighbours
    return {client: wired.listed.list_for((client, *near[client])) for client in clients}
