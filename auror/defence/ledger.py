"""The evidence ledger: what the server opened, round by round, and nothing else.

A verdict is a function of this ledger, so whoever holds it can recompute the verdict. Only
*bound* evidence belongs in it: groups that were accepted in a round whose binding check
passed (docs/protocol.md); the caller sees to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auror.defence.features import FeatureBlock, FeatureKind
from auror.ids import ClientId


@dataclass(frozen=True, slots=True, eq=False)
class GroupObservation:
    """One opened group: its members (those whose statistics are in the sum) and their mean.

    ``mean`` has shape (k,), float64, in dequantised units: the mean of P·Δ over ``members``.
    """

    members: tuple[ClientId, ...]
    mean: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not self.members or len(set(self.members)) != len(self.members):
            raise ValueError("a group has at least one member, each named once")
        if self.mean.ndim != 1 or not np.all(np.isfinite(self.mean)):
            raise ValueError("a group's mean is one finite vector")


@dataclass(frozen=True, slots=True, eq=False)
class RoundObservation:
    """The groups opened in one round. ``era`` grows when training restarts from a new model.

    ``gram`` (C, C): MMᵀ of the class means under the round's model, which turns label confusion
    back into what was opened; None where there is none, or for the identity.
    """

    round_index: int
    era: int
    groups: tuple[GroupObservation, ...]
    gram: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        members = [member for group in self.groups for member in group.members]
        if len(set(members)) != len(members):
            raise ValueError(f"round {self.round_index}: a client sits in two groups")


class Ledger:
    """Append-only list of rounds with the meaning of their columns."""

    def __init__(self, blocks: Sequence[FeatureBlock]) -> None:
        self._blocks = tuple(blocks)
        self._rounds: list[RoundObservation] = []

    @property
    def blocks(self) -> tuple[FeatureBlock, ...]:
        """The column blocks every observation follows."""
        return self._blocks

    @property
    def rounds(self) -> tuple[RoundObservation, ...]:
        """All observations, oldest first."""
        return tuple(self._rounds)

    @property
    def width(self) -> int:
        """Number of columns k."""
        return max((block.stop for block in self._blocks), default=0)

    def block(self, kind: FeatureKind) -> FeatureBlock | None:
        """The block of this kind, or None when the plan has none."""
        return next((block for block in self._blocks if block.kind is kind), None)

    def append(self, observation: RoundObservation) -> None:
        """Add a round. Raises ValueError when it is not newer, or not of this ledger's width."""
        if self._rounds:
            last = self._rounds[-1]
            if observation.round_index <= last.round_index or observation.era < last.era:
                raise ValueError(f"round {observation.round_index} is not newer than the last one")
        if any(group.mean.shape != (self.width,) for group in observation.groups):
            raise ValueError(f"a group mean does not have {self.width} columns")
        self._rounds.append(observation)

    def since(self, round_index: int) -> Ledger:
        """The rounds after ``round_index`` alone."""
        later = Ledger(self._blocks)
        later._rounds = [entry for entry in self._rounds if entry.round_index > round_index]
        return later

    def to_dict(self) -> dict[str, object]:
        """JSON-able form, exact: floats survive ``json`` unchanged."""
        return {
            "blocks": [block.to_dict() for block in self._blocks],
            "rounds": [
                {
                    "round_index": entry.round_index,
                    "era": entry.era,
                    "groups": [
                        {"members": [int(m) for m in group.members], "mean": group.mean.tolist()}
                        for group in entry.groups
                    ],
                    "gram": None if entry.gram is None else entry.gram.tolist(),
                }
                for entry in self._rounds
            ],
        }

    @classmethod
    def from_dict(cls, data: dict[str, object]) -> Ledger:
        """Inverse of ``to_dict``. Raises ValueError on anything that is not a ledger."""
        match data:
            case {"blocks": list(blocks), "rounds": list(rounds)}:
                ledger = cls([FeatureBlock.from_dict(block) for block in blocks])
                for entry in rounds:
                    ledger.append(_round_from_dict(entry))
                return ledger
        raise ValueError("not an evidence ledger")


@dataclass(frozen=True, slots=True, eq=False)
class Arranged:
    """One block of a ledger as arrays. Rounds with a single group say nothing about anybody and
    are left out.

    ``clients``: the cohort and whoever else is in the rounds, sorted; positions below refer to it.
    ``rounds``: the observations. ``groups[r][G]``: positions of the members. ``means[r]``: group
    means, (groups, *shape of the block).
    """

    clients: tuple[ClientId, ...]
    rounds: tuple[RoundObservation, ...]
    groups: list[list[list[int]]]
    means: list[NDArray[np.float64]]

    @property
    def grams(self) -> list[NDArray[np.float64] | None]:
        """MMᵀ by round."""
        return [entry.gram for entry in self.rounds]

    @property
    def sizes(self) -> list[list[int]]:
        """Members per group, by round."""
        return [[len(group) for group in entry] for entry in self.groups]

    def since(self, start: int) -> Arranged:
        """The rounds from position ``start`` on, the same clients."""
        return replace(
            self,
            rounds=self.rounds[start:],
            groups=self.groups[start:],
            means=self.means[start:],
        )

    @property
    def round_indices(self) -> tuple[int, ...]:
        """Of the rounds, as the observations name them."""
        return tuple(entry.round_index for entry in self.rounds)

    @property
    def opened(self) -> int:
        """Group sums, over all rounds."""
        return sum(len(entry) for entry in self.groups)

    @property
    def equations(self) -> int:
        """Independent group sums: every round's level costs one."""
        return self.opened - len(self.groups)

    @property
    def seen(self) -> NDArray[np.int64]:
        """In how many groups each client was, (clients,)."""
        counts = np.zeros(len(self.clients), dtype=np.int64)
        for entry in self.groups:
            for group in entry:
                counts[group] += 1
        return counts


def arrange(ledger: Ledger, block: FeatureBlock, cohort: Iterable[ClientId]) -> Arranged:
    """The columns of ``block``, round by round."""
    rounds = tuple(entry for entry in ledger.rounds if len(entry.groups) >= 2)
    members = {member for entry in rounds for group in entry.groups for member in group.members}
    clients = tuple(sorted(set(cohort) | members))
    position = {client: row for row, client in enumerate(clients)}
    return Arranged(
        clients,
        rounds,
        [[[position[m] for m in group.members] for group in entry.groups] for entry in rounds],
        [
            np.stack([g.mean[block.start : block.stop].reshape(block.shape) for g in entry.groups])
            for entry in rounds
        ],
    )


def _round_from_dict(data: object) -> RoundObservation:
    match data:
        case {"round_index": int(index), "era": int(era), "groups": list(groups), "gram": gram}:
            return RoundObservation(
                index,
                era,
                tuple(_group_from_dict(group) for group in groups),
                None if gram is None else np.asarray(gram, dtype=np.float64),
            )
    raise ValueError("not a round of an evidence ledger")


def _group_from_dict(data: object) -> GroupObservation:
    match data:
        case {"members": list(members), "mean": list(mean)}:
            return GroupObservation(
                tuple(ClientId(int(member)) for member in members),
                np.asarray(mean, dtype=np.float64),
            )
    raise ValueError("not a group of an evidence ledger")
