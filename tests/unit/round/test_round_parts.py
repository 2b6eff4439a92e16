"""Plan, groups, binding, description and view, each against an oracle or field by field."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
from rounds_kit import DIM, Deployment, play, small_plan

from auror.errors import AbortReason, RoundAborted
from auror.ids import ClientId, Digest, GroupIndex, RoundId
from auror.round.binding import check_binding
from auror.round.description import model_digest
from auror.round.label_rows import LabelRows, MeansSource
from auror.round.lists import AllDigests, AllKeys
from auror.round.plan import CountSketch, OutputLayer, StatisticsPlan, session_sketch
from auror.round.public import draw_groups, protocol_seed, uploads_digest, view_digest
from auror.round.record import OpenedGroup
from auror.round.watch import Watch


def dense(plan: StatisticsPlan) -> np.ndarray:
    """P as a matrix, column by column through unit vectors."""
    columns = []
    for i in range(plan.dim):
        unit = np.zeros(plan.dim, dtype=np.int64)
        unit[i] = 1
        columns.append(plan.apply(unit).astype(np.int64))
    return np.array(columns).T


@pytest.mark.parametrize("rows", [0, 1, 3, DIM, 100])
def test_plan_is_linear_and_its_norms_are_those_of_the_matrix(rows: int) -> None:
    plan = small_plan().with_challenge(bytes(range(32)), rows)
    matrix = dense(plan)
    assert matrix.shape == (plan.rows, DIM) == (11 + min(rows, DIM), DIM)
    assert np.array_equal(plan.row_norms(), np.abs(matrix).sum(axis=1))
    assert np.array_equal(plan.row_sums(), matrix.sum(axis=1))
    assert plan.largest_row_norm() == np.abs(matrix).sum(axis=1).max()
    values = np.random.default_rng(rows).integers(0, 2**24, DIM).astype(np.uint32)
    expected = (matrix.astype(object) @ values.astype(object)) % 2**64
    assert [int(x) for x in plan.apply(values)] == [int(x) for x in expected]


def test_parts_by_hand() -> None:
    matrix = dense(small_plan())
    assert np.array_equal(matrix[:4], np.eye(DIM, dtype=np.int64)[1:5])
    sketch = matrix[4:7]
    assert (np.abs(sketch).sum(axis=0) == 1).all()  # every entry is in one bucket, with a sign
    means = np.array([[3, -2, 5], [-7, 1, 4]])
    matrix = dense(StatisticsPlan(DIM, (LabelRows.from_matrix(6, means),)))
    expected = np.zeros((4, DIM), dtype=np.int64)
    for a in range(2):
        for c in range(2):
            expected[2 * a + c, 6 + 3 * a : 9 + 3 * a] = means[c]
    assert np.array_equal(matrix, expected)


def test_challenge_follows_the_seed_and_everything_enters_the_digest() -> None:
    plan = small_plan()
    one, two = (plan.with_challenge(bytes([i]) * 32, 4) for i in (1, 2))
    assert not np.array_equal(dense(one)[11:], dense(two)[11:])
    assert np.array_equal(dense(one)[:11], dense(two)[:11])
    rows = plan.parts[2]
    assert isinstance(rows, LabelRows)
    others = [
        one,
        two,
        plan,
        replace(plan, dim=25),
        replace(plan, parts=plan.parts[:2]),
        replace(plan, parts=(OutputLayer(2, 4), *plan.parts[1:])),
        replace(plan, parts=(OutputLayer(1, 5), *plan.parts[1:])),
        replace(plan, parts=(*plan.parts[:2], LabelRows.from_matrix(1, rows.matrix + 1))),
        replace(plan, parts=(*plan.parts[:2], replace(rows, exponent=-1))),
        replace(plan, parts=(*plan.parts[:2], replace(rows, offset=2))),
        replace(plan, parts=(*plan.parts[:2], replace(rows, classes=1, hidden=2))),
        replace(plan, parts=(*plan.parts[:2], replace(rows, source=MeansSource.OUTPUT_WEIGHTS))),
        replace(plan, parts=(plan.parts[0], session_sketch(Digest(bytes([1]) * 32), 3))),
        replace(plan, parts=(plan.parts[1], plan.parts[0], plan.parts[2])),
    ]
    assert len({other.digest() for other in others}) == len(others)


def test_a_coefficient_of_minus_two_to_the_31_counts_in_full() -> None:
    part = LabelRows.from_matrix(0, np.array([[-(2**31), 1]], dtype=np.int64))
    assert part.largest_coefficient == 2**31


@pytest.mark.parametrize(("n", "g"), [(7, 3), (30, 5), (31, 5), (9, 5), (6, 1), (10, 10)])
def test_groups_partition_the_uploads_evenly_and_none_is_below_g(n: int, g: int) -> None:
    uploaded = tuple(ClientId(3 * i) for i in range(n))
    groups = draw_groups(bytes(32), uploaded, g)
    assert sorted(c for group in groups for c in group) == list(uploaded)
    sizes = [len(group) for group in groups]
    assert len(groups) == n // g
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= g
    assert groups == draw_groups(bytes(32), uploaded[::-1], g)


def test_too_few_uploads_make_no_group() -> None:
    with pytest.raises(ValueError, match="4 clients make no group of 5"):
        draw_groups(bytes(32), tuple(ClientId(i) for i in range(4)), 5)


def test_every_pair_meets_equally_often() -> None:
    dealt = tuple(ClientId(i) for i in range(6))
    met: Counter[tuple[int, int]] = Counter()
    for k in range(1500):
        for group in draw_groups(k.to_bytes(32, "little"), dealt, 3):
            met.update((a, b) for a in group for b in group if a < b)
    assert len(met) == 15
    assert all(510 < count < 690 for count in met.values())  # 600 ± 4.7 σ


def test_public_seed_hangs_on_every_contribution() -> None:
    r = {ClientId(i): bytes([i]) * 32 for i in range(3)}
    up = tuple(r)
    seeds = {
        protocol_seed(Digest(bytes(32)), up, r),
        protocol_seed(Digest(bytes([1]) * 32), up, r),
        protocol_seed(Digest(bytes(32)), up[:2], r),
        protocol_seed(Digest(bytes(32)), up, {**r, ClientId(2): bytes(32)}),
        protocol_seed(Digest(bytes(32)), up, {c: r[c] for c in (ClientId(0), ClientId(1))}),
    }
    assert len(seeds) == 5


# Binding ----------------------------------------------------------------------------------------


def group(total: np.ndarray) -> OpenedGroup:
    return OpenedGroup(GroupIndex(0), (ClientId(0),), total.astype(np.uint64))


@pytest.mark.parametrize("bit", [0, 1, 12, 31, 32, 48, 63])
def test_binding_is_exact_in_every_bit(bit: int) -> None:
    plan, total = small_plan(), np.arange(DIM, dtype=np.uint32)
    right = plan.apply(total)
    assert np.array_equal(check_binding(plan, total, [group(right)]), np.arange(DIM))
    halves = [group(right - np.uint64(5)), group(np.full(plan.rows, 5))]
    check_binding(plan, total, halves)
    wrong = right.copy()
    wrong[3] += np.uint64(1 << bit)
    with pytest.raises(RoundAborted, match="1 of 11") as error:
        check_binding(plan, total, [group(wrong)])
    assert error.value.reason is AbortReason.BINDING_FAILED


def test_binding_modulo_the_updates_ring_would_not_do() -> None:
    plan, total = small_plan(), np.arange(DIM, dtype=np.uint32)
    wrong = plan.apply(total) + np.uint64(2**20)
    assert np.array_equal(wrong % 2**20, plan.apply(total) % 2**20)
    with pytest.raises(RoundAborted):
        check_binding(plan, total, [group(wrong)])


# T and h ----------------------------------------------------------------------------------------


def test_every_field_of_the_description_is_in_the_transcript() -> None:
    base = Deployment(5).start().description
    other = Digest(bytes([9]) * 32)
    changes = {
        "round_id": RoundId(1, base.round_id.nonce),
        "attempt": 1,
        "deployment": bytes(16),
        "policy": other,
        "policy_version": 2,
        "era": 1,
        "step": 1,
        "disputed": True,
        "parent": other,
        "model": other,
        "plan": other,
        "cohort": base.cohort[:4],
        "watch": Watch.DRAWN,
        "flagged": (ClientId(9),),
        "version": base.version + 1,
    }
    assert changes.keys() == {field.name for field in fields(base)}
    variants = [replace(base, **{name: value}) for name, value in changes.items()]
    variants.append(replace(base, round_id=RoundId(0, bytes(16))))
    assert len({v.transcript() for v in (base, *variants)}) == len(variants) + 1


def test_every_bit_of_the_model_is_in_its_hash() -> None:
    model = np.zeros(3, dtype=np.float32)
    seen = {model_digest(model)}
    for bit in range(96):
        changed = model.copy()
        changed.view(np.uint32)[bit // 32] ^= np.uint32(1 << (bit % 32))
        seen.add(model_digest(changed))
    assert len(seen) == 97  # −0.0 and 0.0 are two models too


def test_everything_a_client_was_told_is_in_its_view() -> None:
    state = play(Deployment(7)).state
    known, digests, groups = state.wired.keys, state.uploads.digests, state.draw.groups
    r = {c: bytes([c]) * 32 for c in state.dealers.dealt}
    three, other = ClientId(3), Digest(bytes([1]) * 32)
    everybody = frozenset(known)
    lists = [
        AllKeys(known, everybody).digest,
        AllKeys({**known, three: replace(known[three], statistics_mask=other)}, everybody).digest,
        AllKeys({**known, three: replace(known[three], randomness=other)}, everybody).digest,
        AllKeys(known, everybody - {three}).digest,
        AllKeys({c: k for c, k in known.items() if c != three}, everybody - {three}).digest,
    ]
    assert len(set(lists)) == 5
    dealt, uploaded, root = state.dealers.dealt, tuple(digests), AllDigests(digests).root
    first = (Digest(bytes(32)), lists[0], dealt, uploaded, root)
    changes = {
        0: other,
        1: lists[1],
        2: dealt[:-1],
        3: uploaded[:-1],
        4: AllDigests({**digests, three: other}).root,
    }
    told = {uploads_digest(*first)}
    for position, value in changes.items():
        told.add(uploads_digest(*(value if i == position else p for i, p in enumerate(first))))
    assert len(told) == 6
    base = (Digest(bytes(32)), r, groups, Digest(bytes(32)))
    changed = {
        0: other,
        1: {**r, three: bytes(32)},
        2: (groups[1], groups[0]),
        3: other,
    }
    views = {view_digest(*base)}
    for position, value in changed.items():
        views.add(view_digest(*(value if i == position else part for i, part in enumerate(base))))
    assert len(views) == 5


def test_small_plan_has_every_part() -> None:
    assert {type(p) for p in small_plan().parts} == {OutputLayer, CountSketch, LabelRows}
