"""The statistics plan P: an integer linear map from quantised updates to a few statistics.

P is a list of parts stacked row-wise; every part applies in O(d) and can be off. A client can
recompute or check each of them: nobody puts a matrix of its own on the wire.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auror.crypto.kex import expand
from auror.crypto.prg import words
from auror.crypto.tags import Tag, number, tagged_hash
from auror.errors import DataError, Refusal, Refused
from auror.ids import Digest
from auror.params import PlanCaps, RoundParams
from auror.round.label_rows import LabelRows, MeansSource, rows_of_weights


@dataclass(frozen=True)
class OutputLayer:
    """Part (a): the entries offset … offset+length of the update, one by one."""

    offset: int
    length: int

    @property
    def rows(self) -> int:
        return self.length

    def apply(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        return values[self.offset : self.offset + self.length].copy()

    def row_norms(self, dim: int) -> NDArray[np.int64]:
        return np.ones(self.length, dtype=np.int64)

    def row_sums(self, dim: int) -> NDArray[np.int64]:
        return np.ones(self.length, dtype=np.int64)

    @property
    def largest_coefficient(self) -> int:
        return 1

    def encoded(self) -> tuple[bytes, ...]:
        return b"output-layer", number(self.offset), number(self.length)

    def fits(self, dim: int) -> bool:
        return self.offset >= 0 and self.length > 0 and self.offset + self.length <= dim


@dataclass(frozen=True)
class CountSketch:
    """Parts (b) and (c): every entry is added with a random sign to one of ``rows`` buckets."""

    seed: bytes
    """32 bytes: fixed for the session (b) or drawn by the round's challenge (c)."""
    rows: int
    challenge: bool

    def apply(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        hashed = _sketch_hash(self.seed, self.rows, len(values))
        return np.add.reduceat(
            np.append((values * hashed.signs)[hashed.order], 0), hashed.starts
        ) * (hashed.counts > 0)

    def row_norms(self, dim: int) -> NDArray[np.int64]:
        return _sketch_hash(self.seed, self.rows, dim).counts

    def row_sums(self, dim: int) -> NDArray[np.int64]:
        return self.apply(np.ones(dim, dtype=np.int64))

    @property
    def largest_coefficient(self) -> int:
        return 1

    def encoded(self) -> tuple[bytes, ...]:
        return b"count-sketch", self.seed, number(self.rows), number(int(self.challenge))

    def fits(self, dim: int) -> bool:
        return len(self.seed) == 32 and 0 < self.rows <= dim


PlanPart = OutputLayer | CountSketch | LabelRows


def is_challenge(part: PlanPart) -> bool:
    """Whether nobody could foresee these rows."""
    return isinstance(part, CountSketch) and part.challenge


@dataclass(frozen=True)
class StatisticsPlan:
    """P itself: ``dim`` columns (d, entries of an update) and the rows of all parts (k)."""

    dim: int
    parts: tuple[PlanPart, ...]

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    @property
    def stable_rows(self) -> int:
        """Rows of all parts but the challenge, which is the last one."""
        return sum(part.rows for part in self.parts if not is_challenge(part))

    def slices(self) -> list[tuple[PlanPart, slice]]:
        """Which rows of the statistics belong to which part."""
        found, start = [], 0
        for part in self.parts:
            found.append((part, slice(start, start + part.rows)))
            start += part.rows
        return found

    def apply(self, values: NDArray[np.uint32] | NDArray[np.int64]) -> NDArray[np.uint64]:
        """P·values modulo 2^64, (k,). Exact: the row norms are checked when a round is set up."""
        if not self.parts:
            return np.zeros(0, dtype=np.uint64)
        wide = values.astype(np.int64)
        return np.concatenate([part.apply(wide) for part in self.parts]).astype(np.uint64)

    def row_norms(self) -> NDArray[np.int64]:
        """‖row‖₁ of every row, (k,)."""
        if not self.parts:
            return np.zeros(0, dtype=np.int64)
        return np.concatenate([part.row_norms(self.dim) for part in self.parts])

    def row_sums(self) -> NDArray[np.int64]:
        """P·1, (k,): what the offset code adds to every statistic."""
        if not self.parts:
            return np.zeros(0, dtype=np.int64)
        return np.concatenate([part.row_sums(self.dim) for part in self.parts])

    def largest_row_norm(self) -> int:
        return int(self.row_norms().max(initial=0))

    def digest(self) -> Digest:
        encoded = (piece for part in self.parts for piece in part.encoded())
        return tagged_hash(Tag.PLAN, number(self.dim), *encoded)

    def with_challenge(self, public_seed: bytes, rows: int) -> StatisticsPlan:
        """The plan with the part that nobody could foresee (docs/protocol.md step 3.10)."""
        if not rows:
            return self
        seed = expand(public_seed, Tag.CHALLENGE).reveal()
        return replace(self, parts=(*self.parts, CountSketch(seed, min(rows, self.dim), True)))

    def check(
        self,
        caps: PlanCaps,
        params: RoundParams,
        anchor: Digest,
        model: NDArray[np.float32],
    ) -> None:
        """What a client asks of a plan before it takes part: nothing in it is the server's choice
        but sizes within caps; class means of the signed samples it recomputes later
        (``auror.round.client.label_rows``).

        Args:
            anchor: what ``session_seed`` is drawn from: the digest of the client's policy.
            model: the round's model (d,).

        Raises:
            Refused: STATISTICS_TOO_LARGE, or FORGED_MEANS for rows that are not the model's.
        """
        kinds = [type(part) for part in self.parts]
        if len(set(kinds)) != len(kinds):
            raise Refused(Refusal.STATISTICS_TOO_LARGE, "two parts of one kind")
        for part in self.parts:
            kind = part.encoded()[0].decode()
            if kind not in caps.parts:
                allowed = ", ".join(caps.parts) or "none"
                raise Refused(Refusal.STATISTICS_TOO_LARGE, f"a part {kind}, allowed: {allowed}")
            if not part.fits(self.dim):
                raise Refused(Refusal.STATISTICS_TOO_LARGE, "a part of the plan does not fit")
            if isinstance(part, CountSketch):
                if part.challenge:
                    raise Refused(Refusal.STATISTICS_TOO_LARGE, "challenge rows from the server")
                if part.seed != session_seed(anchor):
                    raise Refused(Refusal.STATISTICS_TOO_LARGE, "a sketch under a chosen seed")
        self._check_sizes(caps, params)
        for part in self.parts:
            if isinstance(part, LabelRows) and part.source is MeansSource.OUTPUT_WEIGHTS:
                _check_weights(part, model, params.label_row_bits())

    def _check_sizes(self, caps: PlanCaps, params: RoundParams) -> None:
        rows = self.rows + params.challenge_rows
        if rows > caps.max_statistics:
            raise Refused(
                Refusal.STATISTICS_TOO_LARGE,
                f"{rows} statistics, at most {caps.max_statistics} allowed",
            )
        largest = max((part.largest_coefficient for part in self.parts), default=0)
        if largest >= params.coefficient_cap():
            raise Refused(
                Refusal.STATISTICS_TOO_LARGE,
                f"a coefficient of {largest}, below g·(2^b − 1) = {params.coefficient_cap()} asked"
                " for: a row could carry two entries",
            )
        if largest.bit_length() > caps.max_coefficient_bits:
            raise Refused(
                Refusal.STATISTICS_TOO_LARGE,
                f"a coefficient of {largest.bit_length()} bits, at most"
                f" {caps.max_coefficient_bits} allowed",
            )
        norm = self.largest_row_norm()
        if norm.bit_length() > caps.max_row_norm_bits:
            raise Refused(
                Refusal.STATISTICS_TOO_LARGE,
                f"a row norm of {norm.bit_length()} bits, at most {caps.max_row_norm_bits} allowed",
            )


def _check_weights(part: LabelRows, model: NDArray[np.float32], bits: int) -> None:
    try:
        expected = rows_of_weights(part.output, model, bits)
    except DataError as error:
        raise Refused(Refusal.FORGED_MEANS, str(error)) from error
    if part != expected:
        raise Refused(Refusal.FORGED_MEANS, "label rows are not the model's output weights")


@dataclass(frozen=True)
class _SketchHash:
    """Five bytes an entry of the model, nine from 2^31 entries on; two of these are kept."""

    signs: NDArray[np.int8]
    order: NDArray[np.signedinteger]
    starts: NDArray[np.intp]
    counts: NDArray[np.int64]


@functools.lru_cache(maxsize=2)  # the session's, and that of the round's challenge
def _sketch_hash(seed: bytes, rows: int, dim: int) -> _SketchHash:
    """Bucket and sign of every entry, from 32 bits of key stream each.

    The bucket is ⌊u·rows / 2^31⌋ for a 31-bit u: its bias, below rows·2^-31, costs nothing here.
    """
    drawn = np.empty(dim, dtype=np.uint32)
    for positions, block in words(expand(seed, Tag.SKETCH), dim, np.uint32):
        drawn[positions] = block
    buckets = ((drawn >> np.uint32(1)).astype(np.uint64) * np.uint64(rows)) >> np.uint64(31)
    signs = 1 - 2 * (drawn & np.uint32(1)).astype(np.int8)
    order = np.argsort(buckets, kind="stable").astype("i4" if dim < 2**31 else "i8")
    counts = np.bincount(buckets.astype(np.intp), minlength=rows).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.intp)
    return _SketchHash(signs, order, starts, counts)


def session_seed(anchor: Digest) -> bytes:
    """32 bytes for part (b), from a digest that server and clients share for a whole session."""
    return tagged_hash(Tag.SESSION, anchor)


def session_sketch(anchor: Digest, rows: int) -> CountSketch:
    """Part (b), under a seed fixed for the session so that evidence adds up over rounds, and one
    that every client recomputes: a server that chose it would choose the buckets."""
    return CountSketch(session_seed(anchor), rows, False)
