"""How far one round got: the one thing that drivers, training and records read at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from auror.errors import DropReason, Refusal
from auror.ids import ClientId, GroupIndex
from auror.round.public import Groups
from auror.round.record import Mark, OpenedGroup


@dataclass(frozen=True)
class RoundSummary:
    """One round, finished or aborted. Sets are sorted; what the round did not reach is empty."""

    attempted: bool = False
    """U2 went out: clients count an attempt at this model."""
    dealt: tuple[ClientId, ...] = ()
    """U2"""
    uploaded: tuple[ClientId, ...] = ()
    """U3"""
    public_seed: bytes = b""
    asked: bool = False
    """All r went out: clients may count an opening of their statistics."""
    groups: Groups = ()
    """The drawn partition of U3."""
    watched: bool = False
    """More than challenge rows is opened: it was drawn, or said by the description."""
    sent: tuple[ClientId, ...] = ()
    """Who sent statistics."""
    opened: tuple[OpenedGroup, ...] = ()
    accepted_groups: tuple[GroupIndex, ...] = ()
    accepted: tuple[ClientId, ...] = ()
    """A, proposed; opened only if ``total_opened``."""
    left_out: Mapping[GroupIndex, str] = field(default_factory=lambda: MappingProxyType({}))
    """Groups that are not in A, and why."""
    unmasking: bool = False
    """The agreement went out: clients help to open a total for this model."""
    total_opened: bool = False
    """Also when the binding check then failed."""
    dropped: Mapping[ClientId, DropReason] = field(default_factory=lambda: MappingProxyType({}))
    refusals: Mapping[ClientId, Refusal] = field(default_factory=lambda: MappingProxyType({}))
    """Of those among them who would not go on."""
    late: frozenset[ClientId] = frozenset()
    """Silent at a deadline, and heard of later in the round."""
    marks: tuple[Mark, ...] = ()
    """What a failed check or opening proved about whom."""
    withheld: frozenset[ClientId] = frozenset()
    """Who kept its masks closed in a group of which nothing else shows whether somebody lied."""
