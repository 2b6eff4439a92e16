"""Restoring secrets from opened shares, each checked against its dealer's commitment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from auror.crypto.entropy import Secret
from auror.crypto.shamir import Combiner
from auror.errors import AbortReason, DropReason, PeerMisbehaved, RoundAborted
from auror.ids import ClientId, Digest
from auror.secagg.graph import share_point
from auror.secagg.instance import SecretKind
from auror.secagg.sharing import Share, commitments_under


class ShareCollector:
    """The server's pile of opened shares of one round.

    ``kinds`` is the order of the commitments in every dealing.
    """

    def __init__(self, transcript: Digest, threshold: int, kinds: tuple[SecretKind, ...]) -> None:
        self._committed = commitments_under(transcript)
        self._threshold = threshold
        self._position = {kind: i for i, kind in enumerate(kinds)}
        self._combiner = Combiner(threshold)
        self._commitments: dict[ClientId, Mapping[ClientId, tuple[Digest, ...]]] = {}
        self._secret_commitments: dict[ClientId, tuple[Digest, ...]] = {}
        self._shares: dict[SecretKind, dict[ClientId, dict[int, bytes]]] = {k: {} for k in kinds}
        """By kind and dealer: values by point."""

    def expect(
        self,
        dealer: ClientId,
        share_commitments: Mapping[ClientId, tuple[Digest, ...]],
        secret_commitments: tuple[Digest, ...],
    ) -> None:
        """Remember what ``dealer`` committed to in phase 1."""
        self._commitments[dealer] = share_commitments
        self._secret_commitments[dealer] = secret_commitments
        for piles in self._shares.values():
            piles.setdefault(dealer, {})

    def add(self, holder: ClientId, kind: SecretKind, shares: Mapping[ClientId, Share]) -> None:
        """Take ``holder``'s shares of one kind of secret, one per dealer.

        Raises:
            PeerMisbehaved: a share that is not the one its dealer committed to. Either the
                holder opened another value or it kept quiet about a bad dealing in phase 1;
                nothing of this answer is used.
        """
        position, rows = self._position[kind], self._commitments
        actual = self._committed.of_shares(holder, kind, shares)
        for dealer, digest in zip(shares, actual, strict=True):
            row = rows[dealer].get(holder) if dealer in rows else None
            if row is None or row[position] != digest:
                raise PeerMisbehaved(
                    holder, DropReason.BAD_COMMITMENT, f"share of client {dealer}'s {kind.name}"
                )
        point, piles = share_point(holder), self._shares[kind]
        for dealer, share in shares.items():
            piles[dealer][point] = share.value

    def count(self, dealer: ClientId, kind: SecretKind) -> int:
        return len(self._shares[kind].get(dealer, {}))

    def enough(self, dealer: ClientId, kind: SecretKind) -> bool:
        return self.count(dealer, kind) >= self._threshold

    def restore(
        self, wanted: Mapping[ClientId, SecretKind], ring: Sequence[ClientId] = ()
    ) -> dict[ClientId, Secret]:
        """By dealer the secret of the ``wanted`` kind, checked against its commitment to it.

        Args:
            ring: of a sparse graph. Dealers are taken in its order, and new holders of shares as
                far ahead as there are any: they hold shares of the dealers that follow, too.

        Raises:
            RoundAborted: too few shares, or shares that restore another value (the dealer lied:
                each share matched its own commitment).
        """
        if not ring:
            return {dealer: self._restore(dealer, kind) for dealer, kind in wanted.items()}
        places, half = {share_point(client): at for at, client in enumerate(ring)}, len(ring) // 2
        restored = {}
        for here, dealer in enumerate(ring):
            if dealer in wanted:

                def behind(point: int, here: int = here) -> int:
                    return (here + half - places[point]) % len(ring)

                restored[dealer] = self._restore(dealer, wanted[dealer], behind)
        return restored

    def _restore(
        self, dealer: ClientId, kind: SecretKind, order: Callable[[int], int] | None = None
    ) -> Secret:
        if not self.enough(dealer, kind):
            raise RoundAborted(
                AbortReason.TOO_FEW_SHARES,
                f"{self.count(dealer, kind)} of {self._threshold} for client {dealer}",
            )
        secret = self._combiner.combine(self._shares[kind][dealer], order)
        expected = self._secret_commitments[dealer][self._position[kind]]
        if secret is None or self._committed.of_secret(dealer, kind, secret) != expected:
            raise RoundAborted(
                AbortReason.BAD_RECONSTRUCTION, f"client {dealer} dealt a bad {kind.name}", dealer
            )
        return secret
