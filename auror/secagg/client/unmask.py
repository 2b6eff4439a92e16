"""Round 4 (Bonawitz 2017, figure 4, Unmasking): shares of one secret per peer, never of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from auror.errors import Refusal, Refused
from auror.ids import ClientId
from auror.secagg.instance import SecretKind
from auror.secagg.sharing import Share


@dataclass(frozen=True)
class OpenedShares:
    """An answer in an unmasking phase. A peer stands in one map or in none: the type of the
    map says which secret the share belongs to, so both for one peer cannot be written."""

    self_seeds: Mapping[ClientId, Share]
    mask_keys: Mapping[ClientId, Share]

    def __post_init__(self) -> None:
        both = self.self_seeds.keys() & self.mask_keys.keys()
        if both:
            raise Refused(Refusal.SECOND_ANSWER, f"both secrets asked of clients {sorted(both)}")


class OpeningGuard:
    """Holds a client's shares for one sum and answers for one pair of sets only.

    Rule 1 (SECURITY.md): both secrets of one peer never leave, whatever the server asks and
    however often. An identical request gets the identical answer.
    """

    def __init__(self, held: Mapping[ClientId, Mapping[SecretKind, Share]]) -> None:
        self._held = held
        self.dealers = frozenset(held)
        """Whose shares it holds."""
        self._answered: tuple[frozenset[ClientId], frozenset[ClientId]] | None = None

    def open(
        self, self_seeds_of: frozenset[ClientId], mask_keys_of: frozenset[ClientId]
    ) -> OpenedShares:
        """Shares of the self-mask seeds of the summed and of the mask keys of the absent.

        Peers that dealt nothing to this holder are passed over.

        Raises:
            Refused: the two sets meet, or another pair of sets was answered before.
        """
        if self_seeds_of & mask_keys_of:
            raise Refused(Refusal.SECOND_ANSWER, "a peer is both summed and absent")
        asked = (self_seeds_of, mask_keys_of)
        if self._answered is not None and self._answered != asked:
            raise Refused(Refusal.SECOND_ANSWER, "another sum was opened before")
        self._answered = asked
        return OpenedShares(
            self._shares(SecretKind.SELF_SEED, self_seeds_of),
            self._shares(SecretKind.MASK_KEY, mask_keys_of),
        )

    def _shares(self, kind: SecretKind, owners: frozenset[ClientId]) -> dict[ClientId, Share]:
        return {peer: self._held[peer][kind] for peer in sorted(owners & self._held.keys())}
