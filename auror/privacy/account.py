"""The account of one run, from what its rounds left behind.

It never prints one "anonymity set" for a run: over many rounds the evidence is meant to single
out the flagged, so that number is 1 as soon as detection works, and says nothing. What it
prints instead is how much of each client the best linear estimator recovers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from auror.ids import ClientId
from auror.params import RoundParams
from auror.privacy.collusion import Collusion, assess
from auror.privacy.recovery import OpenedSet, estimate, fit, r_squared, recovery
from auror.privacy.truth import TruthRecorder
from auror.round.record import RoundRecord

STATISTICS_ENTRY_BITS = 64
Json = dict[str, object]
_Vector = TypeVar("_Vector")


@dataclass(frozen=True)
class PrivacyAccount:
    """What a run opened. Fractions are in [0, 1]; None = not known outside a simulation, or
    nothing was opened."""

    group_size: int
    """g as configured."""
    rounds_opened: int
    """Rounds, attempts included, in which clients may have sent statistics: as they count."""
    rounds_watched: int
    """Those in which they may have sent more than challenge rows: only they show label rows."""
    groups_opened: int
    statistics_opened: int | None
    """Numbers opened in all, challenge rows included."""
    smallest_group: int | None
    """Fewest members of any opened group, after dropouts."""
    leverage_per_round: float | None
    """Largest diagonal entry of A⁺A over clients and rounds: how much of one client's vector
    one round's opening holds; 1 = all of it."""
    bits_opened_per_group: int | None
    """k × 64: the most that any encoding could have put into the opened entries of one round."""
    bits_of_range_per_group: float | None
    """Σ over the entries of log2(how many values an honest sum can take): a tighter bound."""
    openings_per_model: int
    """Most rounds in which clients may have sent statistics of one model."""
    totals_per_model: int
    """Most totals of one model that clients may have helped to open; more than 1 is an error."""
    audits: int
    """Rounds in which an omission audit left groups out of the total."""
    groups_left_out: int
    """Opened groups that are not in their round's total."""
    collusion: Collusion | None
    """Honest members left per group, for the assumed number of colluders."""
    statistic_recovery: float | None
    """Mean over clients of R² of the best linear estimate of a client's mean statistics."""
    update_recovery: float | None
    """The same for a client's mean full update."""
    statistic_recovery_of: dict[ClientId, float] | None
    """R² per client."""
    update_recovery_of: dict[ClientId, float] | None

    def to_dict(self) -> Json:
        """JSON values; client ids become decimal strings."""
        plain: Json = asdict(self)
        for name in ("statistic_recovery_of", "update_recovery_of"):
            per_client = getattr(self, name)
            if per_client is not None:
                plain[name] = {str(client): round(r2, 4) for client, r2 in per_client.items()}
        return plain


def account_of(
    records: Sequence[RoundRecord],
    params: RoundParams,
    row_norms: NDArray[np.int64] | None = None,
    truth: TruthRecorder | None = None,
) -> PrivacyAccount:
    """``account`` under the policy's ``params``, whose c is assumed."""
    return account(
        records,
        group_size=params.group_size,
        colluders=params.colluders,
        quantisation_bits=params.quantisation_bits,
        row_norms=row_norms,
        truth=truth,
    )


def account(
    records: Sequence[RoundRecord],
    *,
    group_size: int,
    colluders: int,
    quantisation_bits: int,
    row_norms: NDArray[np.int64] | None = None,
    truth: TruthRecorder | None = None,
) -> PrivacyAccount:
    """Compute the account from all ``records`` of a run, aborted rounds included.

    Args:
        colluders: c assumed by the account (who they are is not assumed).
        quantisation_bits: b of the quantised updates.
        row_norms: ‖row‖₁ of the statistics plan, (k,), for the bound on the range.
        truth: in a simulation, what every client submitted.
    """
    groups = [(record, members) for record in records for members in record.opened_groups]
    sizes = [len(members) for _, members in groups]
    sums = [len(group.total) for record in records for group in record.opened]
    entries = max(sums, default=None)
    statistics = _statistic_recovery(records, truth)
    updates = _update_recovery(records, truth, statistics)
    return PrivacyAccount(
        group_size=group_size,
        rounds_opened=sum(map(_asked, records)),
        rounds_watched=sum(record.watched and _asked(record) for record in records),
        groups_opened=len(groups),
        statistics_opened=sum(sums),
        smallest_group=min(sizes, default=None),
        leverage_per_round=_leverage(records),
        bits_opened_per_group=None if entries is None else entries * STATISTICS_ENTRY_BITS,
        bits_of_range_per_group=(
            range_bits(row_norms, max(sizes), quantisation_bits)
            if row_norms is not None and sizes
            else None
        ),
        openings_per_model=_most_per_model(records, _asked),
        totals_per_model=_most_per_model(
            records, lambda record: record.shares_asked or record.total_opened
        ),
        audits=sum(bool(record.audited) for record in records),
        groups_left_out=sum(
            group.index not in record.accepted_groups
            for record in records
            for group in record.opened
        ),
        collusion=assess(((len(r.dealt), len(members)) for r, members in groups), colluders),
        statistic_recovery=_mean(statistics),
        update_recovery=_mean(updates),
        statistic_recovery_of=statistics,
        update_recovery_of=updates,
    )


def plaintext_account(clients: Sequence[ClientId], rounds: int) -> PrivacyAccount:
    """The account of a run in which the server saw every client's update in every round: there is
    no privacy. What such a run does not have (openings of sums, an assumed company) is None."""
    everything = dict.fromkeys(clients, 1.0)
    return PrivacyAccount(
        group_size=1,
        rounds_opened=rounds,
        rounds_watched=rounds,
        groups_opened=len(clients) * rounds,
        statistics_opened=None,
        smallest_group=1,
        leverage_per_round=1.0,
        bits_opened_per_group=None,
        bits_of_range_per_group=None,
        openings_per_model=1,
        totals_per_model=1,
        audits=0,
        groups_left_out=0,
        collusion=None,
        statistic_recovery=1.0,
        update_recovery=1.0,
        statistic_recovery_of=everything,
        update_recovery_of=everything,
    )


def range_bits(row_norms: NDArray[np.int64], members: int, quantisation_bits: int) -> float:
    """Σ_k log2(‖P_k‖₁ · m · (2^b − 1) + 1): the values that an honest group sum can take."""
    largest = row_norms.astype(np.float64) * members * ((1 << quantisation_bits) - 1)
    return float(np.log2(largest + 1).sum())


def _leverage(records: Sequence[RoundRecord]) -> float | None:
    """Within a round the opened groups are disjoint, so A⁺A is 1/m on the members of a group of
    m; an accepted total is a sum of those rows and adds nothing, unless it is all there is."""
    sizes = [
        size
        for record in records
        for size in (
            [len(members) for members in record.opened_groups]
            or ([len(record.accepted)] if record.total_opened else [])
        )
    ]
    return 1 / min(sizes) if sizes else None


def _statistic_recovery(
    records: Sequence[RoundRecord], truth: TruthRecorder | None
) -> dict[ClientId, float] | None:
    if truth is None:
        return None
    opened = _known([*_groups(records), *_totals(records)], truth)
    vectors = _of_rounds(truth.statistics, opened)
    if not vectors or not len(next(iter(vectors.values()))):
        return None
    found = recovery(opened, vectors, standardise=True)
    return None if found is None else _named(fit(vectors).clients, found)


def _update_recovery(
    records: Sequence[RoundRecord],
    truth: TruthRecorder | None,
    statistics: dict[ClientId, float] | None,
) -> dict[ClientId, float] | None:
    """An update is the sum of the part that its statistics determine and the rest.

    Group sums of the first part are opened with the statistics; accepted totals hold both. The
    two parts have estimators of their own, whose sum is judged.
    """
    if truth is None:
        return None
    totals = _known(_totals(records), truth)
    groups = _known(_groups(records), truth)
    inside = _of_rounds(truth.inside, [*groups, *totals])
    outside = _of_rounds(truth.outside, [*groups, *totals])
    if not inside:
        return None
    near, far = fit(inside), fit(outside)
    guess = estimate([*groups, *totals], inside, near)
    if totals:
        guess = guess + estimate(totals, outside, far)
    found = r_squared(near.own + far.own, guess)
    of_statistics = statistics or {}
    sketched = [truth.sketch_fraction * of_statistics.get(c, 0.0) for c in near.clients]
    return _named(near.clients, found + (1 - found) * np.array(sketched))


def _groups(records: Sequence[RoundRecord]) -> list[OpenedSet]:
    """Groups whose label rows were opened. Challenge rows are others in every round: they tell as
    much of an update as its ``sketch_fraction``, and nothing of a mean over rounds."""
    return [OpenedSet(r.index, group.members) for r in records if r.watched for group in r.opened]


def _totals(records: Sequence[RoundRecord]) -> list[OpenedSet]:
    return [OpenedSet(r.index, r.accepted) for r in records if r.total_opened and r.accepted]


def _known(opened: list[OpenedSet], truth: TruthRecorder) -> list[OpenedSet]:
    """Those of which the truth was recorded (not, for example, rounds before a resumption)."""
    return [
        item for item in opened if all((item.round, c) in truth.statistics for c in item.members)
    ]


def _of_rounds(
    vectors: Mapping[tuple[int, ClientId], _Vector], opened: list[OpenedSet]
) -> dict[tuple[int, ClientId], _Vector]:
    """The vectors of rounds in which something was opened: of the others nothing is known."""
    rounds = {item.round for item in opened}
    return {key: vector for key, vector in vectors.items() if key[0] in rounds}


def _named(clients: Sequence[ClientId], values: NDArray[np.float64]) -> dict[ClientId, float]:
    return {client: float(value) for client, value in zip(clients, values, strict=True)}


def _mean(values: dict[ClientId, float] | None) -> float | None:
    return None if not values else float(np.mean(list(values.values())))


def _asked(record: RoundRecord) -> bool:
    return record.statistics_asked or bool(record.opened)


def _most_per_model(records: Sequence[RoundRecord], happened: Callable[[RoundRecord], bool]) -> int:
    """How often ``happened`` fell on one and the same model that rounds started from.

    Attempts on a model begin at 0. The model after the round before is not always the one that a
    round starts from: a model that an aborted round has spent is left (docs/adr/0005).
    """
    counted: Counter[int] = Counter()
    model = 0
    for record in sorted(records, key=lambda r: r.index):
        model += record.attempt == 0
        counted[model] += happened(record)
    return max(counted.values(), default=0)
