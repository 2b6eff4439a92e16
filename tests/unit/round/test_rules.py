"""The rules that are never broken (SECURITY.md), one test per refusal, drop and abort.

The server's and the clients' machines are the real ones; the network between them lies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rounds_kit import (
    DIM,
    PARAMS,
    POLICY,
    TASK,
    Deployment,
    Played,
    play,
    rounding,
    small_plan,
)

from auror.crypto.kex import KeyPair
from auror.crypto.tags import Tag
from auror.errors import AbortReason, DropReason, Refusal, Refused
from auror.ids import ClientId, Digest, GroupIndex
from auror.params import RoundParams
from auror.round.client.machine import ClientMachine
from auror.round.client.memory import ClientMemory
from auror.round.client.state import GaveUp, Remember, Reply
from auror.round.description import configuration_digest, model_digest
from auror.round.messages import (
    AcceptedSet,
    AdvertisedKeys,
    Agreement,
    AgreementList,
    DealtShares,
    KeyList,
    MaskedStatistics,
    RoundStart,
    ShareDelivery,
    StatisticsList,
    StatisticsShares,
    UpdateShares,
    Upload,
    UploadList,
)
from auror.round.plan import CountSketch, LabelConfusion, OutputLayer, StatisticsPlan
from auror.round.public import agreement_parts
from auror.round.server.context import Decision, Dropped, Persist, Send
from auror.round.server.machine import RoundServer
from auror.secagg.client.unmask import OpenedShares
from auror.secagg.instance import SecretKind
from auror.secagg.quantize import Quantiser
from auror.secagg.sharing import Dealing, Share

VICTIM = ClientId(0)
LIAR = ClientId(3)
COVERED: set[Refusal | DropReason | AbortReason] = set()


def provokes(*reasons: Refusal | DropReason | AbortReason) -> Callable[[Any], Any]:
    """Books which reasons a test provokes; the last test of this file wants all of them."""
    COVERED.update(reasons)
    return lambda test: test


def expected_total(played: Played, deployment: Deployment) -> np.ndarray[Any, Any]:
    params = deployment.params
    quantiser = Quantiser(params.quantisation_bits, params.quantisation_range)
    updates = deployment.updates()
    return np.sum(
        [
            quantiser.quantise(updates[c], rounding(c)).astype(np.int64)
            for c in played.progress.accepted
        ],
        axis=0,
    )


def exact(played: Played, deployment: Deployment) -> None:
    assert played.aborted is None
    assert played.total is not None
    assert np.array_equal(played.total.total, expected_total(played, deployment))


def first_keys(mapping: Any, count: int) -> dict[Any, Any]:
    return {client: mapping[client] for client in sorted(mapping)[:count]}


# Phase 0: the invitation ------------------------------------------------------------------------


def invite(
    deployment: Deployment, start: RoundStart, memory: ClientMemory | None = None, **rules: int
) -> Refusal | None:
    effects = deployment.machine(VICTIM, memory, **rules).on_message(start)
    refusals = [effect.refusal for effect in effects if isinstance(effect, GaveUp)]
    if refusals:  # nothing was signed or remembered
        assert not any(
            isinstance(e, Remember) or (isinstance(e, Reply) and isinstance(e.message, Upload))
            for e in effects
        )
        assert len([e for e in effects if isinstance(e, Reply)]) == 1
    return refusals[0] if refusals else None


def described(kit: Deployment, **changes: Any) -> RoundStart:
    start = kit.start()
    return replace(start, description=replace(start.description, **changes))


def with_params(deployment: Deployment, params: RoundParams) -> RoundStart:
    start = deployment.start()
    digest = configuration_digest(params, TASK)
    return replace(
        start, params=params, description=replace(start.description, configuration=digest)
    )


def with_plan(deployment: Deployment, *parts: Any) -> RoundStart:
    start, plan = deployment.start(), StatisticsPlan(deployment.plan.dim, parts)
    return replace(start, plan=plan, description=replace(start.description, plan=plan.digest()))


def confusion(value: int, *others: int) -> LabelConfusion:
    row = np.zeros((1, DIM), dtype=np.int64)
    row[0, : 1 + len(others)] = [value, *others]
    return LabelConfusion.from_matrix(0, row)


@pytest.fixture(scope="module")
def seven() -> Deployment:
    return Deployment(7)


def test_the_honest_invitation_is_taken(seven: Deployment) -> None:
    assert invite(seven, seven.start()) is None


@provokes(Refusal.COHORT_TOO_SMALL)
def test_cohort_below_own_floor(seven: Deployment) -> None:
    assert invite(seven, seven.start(), min_cohort=8) is Refusal.COHORT_TOO_SMALL
    assert invite(seven, seven.start(), min_cohort=7) is None


@provokes(Refusal.THRESHOLD_UNSAFE)
def test_thresholds_for_fewer_colluders_than_assumed(seven: Deployment) -> None:
    assert invite(seven, seven.start(), colluders=2) is Refusal.THRESHOLD_UNSAFE


def test_thresholds_that_leave_one_honest_client(seven: Deployment) -> None:
    start = with_params(seven, replace(PARAMS, colluders=6))
    assert invite(seven, start) is Refusal.THRESHOLD_UNSAFE
    assert invite(seven, with_params(seven, replace(PARAMS, colluders=5))) is None


@provokes(Refusal.GROUP_TOO_SMALL)
def test_group_below_own_floor(seven: Deployment) -> None:
    assert invite(seven, seven.start(), min_group=4) is Refusal.GROUP_TOO_SMALL


@provokes(Refusal.STATISTICS_TOO_LARGE)
def test_too_many_statistics_counting_the_challenge(seven: Deployment) -> None:
    rows = seven.plan.rows + PARAMS.challenge_rows
    assert invite(seven, seven.start(), max_statistics=rows - 1) is Refusal.STATISTICS_TOO_LARGE
    assert invite(seven, seven.start(), max_statistics=rows) is None


@pytest.mark.parametrize(
    "parts",
    [
        (confusion(2**24),),
        (confusion(-(2**24)),),
        (confusion(-(2**63)),),
        (confusion(-(2**63), -(2**63)),),
        (OutputLayer(DIM - 1, 2),),
        (OutputLayer(0, 0),),
        (CountSketch(bytes(32), 0, False),),
        (CountSketch(bytes(32), DIM + 1, False),),
        (CountSketch(bytes(31), 2, False),),
        (CountSketch(bytes(32), 2, True),),
        (LabelConfusion(0, bytes(8 * DIM - 8), 1, DIM),),
        (LabelConfusion(1, bytes(8 * DIM), 1, DIM),),
    ],
)
def test_plan_parts_over_the_caps_or_outside_the_model(seven: Deployment, parts: Any) -> None:
    assert invite(seven, with_plan(seven, *parts)) is Refusal.STATISTICS_TOO_LARGE


def test_coefficient_and_row_norm_at_the_cap(seven: Deployment) -> None:
    assert invite(seven, with_plan(seven, confusion(2**24 - 1))) is None
    three = with_plan(seven, confusion(7, -7, 7))
    assert invite(seven, three, max_row_norm_bits=5) is None
    assert invite(seven, three, max_row_norm_bits=4) is Refusal.STATISTICS_TOO_LARGE


@provokes(Refusal.RING_OVERFLOW)
def test_statistics_that_could_wrap() -> None:
    matrix = np.full((1, 4096), 2**24 - 1, dtype=np.int64)
    plan = StatisticsPlan(4096, (LabelConfusion.from_matrix(0, matrix),))
    wide = replace(PARAMS, quantisation_bits=24)
    assert invite(
        Deployment(10, 0, wide, plan=plan), Deployment(10, 0, wide, plan=plan).start()
    ) is (Refusal.RING_OVERFLOW)


@provokes(Refusal.WRONG_MODEL)
def test_model_with_one_bit_changed(seven: Deployment) -> None:
    start = seven.start()
    raw = start.model.copy()
    raw.view(np.uint32)[5] ^= 1
    assert invite(seven, replace(start, model=raw)) is Refusal.WRONG_MODEL
    longer = np.append(start.model, np.float32(0))
    other = replace(start.description, model=model_digest(longer))
    assert invite(seven, replace(start, model=longer, description=other)) is Refusal.WRONG_MODEL


@provokes(Refusal.WRONG_CONFIGURATION)
def test_configuration_other_than_described(seven: Deployment) -> None:
    start = seven.start()
    for changed in (
        replace(start, params=replace(PARAMS, quantisation_range=2.0)),
        replace(start, params=replace(PARAMS, max_attempts=4)),
        replace(start, task=b"{}"),
        replace(start, plan=StatisticsPlan(DIM, start.plan.parts[:1])),
        described(seven, deployment="another"),
        described(seven, version=2),
    ):
        assert invite(seven, changed) is Refusal.WRONG_CONFIGURATION


@provokes(Refusal.WRONG_ROSTER)
def test_roster_or_cohort_that_is_not_trusted(seven: Deployment) -> None:
    ids = seven.everybody
    for changed in (
        described(seven, roster=Digest(bytes(32))),
        described(seven, cohort=(ids[1], ids[0], *ids[2:])),
        described(seven, cohort=(ids[0], *ids)),
        described(seven, cohort=ids[1:]),
        described(seven, cohort=(*ids, ClientId(7))),
    ):
        assert invite(seven, changed) is Refusal.WRONG_ROSTER


@provokes(Refusal.ROUND_REPLAYED)
def test_counter_not_larger_than_the_last(seven: Deployment) -> None:
    memory = ClientMemory(counter=4)
    assert invite(seven, seven.start(4), memory) is Refusal.ROUND_REPLAYED
    assert invite(seven, seven.start(5), memory) is None


@provokes(Refusal.ATTEMPTS_EXHAUSTED)
def test_no_more_openings_for_one_model_than_allowed(seven: Deployment) -> None:
    machines = seven.machines()

    def closed(client: ClientId, message: Any) -> Any:
        return None if isinstance(message, StatisticsShares) else message

    for counter in range(PARAMS.max_attempts):
        played = play(seven, start=seven.start(counter), machines=machines, to_server=closed)
        assert played.aborted is AbortReason.TOO_FEW_SHARES
    last = play(seven, start=seven.start(PARAMS.max_attempts), machines=machines)
    assert {g.refusal for g in last.gave_up.values()} == {Refusal.ATTEMPTS_EXHAUSTED}
    assert last.aborted is AbortReason.TOO_FEW_ADVERTISED
    # a client's own smaller cap counts, and another model is another matter
    one = ClientMemory(openings={model_digest(seven.model()).hex(): 1})
    assert invite(seven, seven.start(), one, max_attempts=1) is Refusal.ATTEMPTS_EXHAUSTED
    assert invite(seven, seven.start(model=1), one, max_attempts=1) is None


@provokes(Refusal.TOTAL_REPEATED)
def test_one_total_for_one_model(seven: Deployment) -> None:
    machines = seven.machines()
    exact(play(seven, machines=machines), seven)
    again = play(seven, start=seven.start(1), machines=machines)
    assert {g.refusal for g in again.gave_up.values()} == {Refusal.TOTAL_REPEATED}
    assert again.total is None
    other = play(seven, start=seven.start(2, model=1), machines=machines)
    assert other.total is not None


# Phases 1–6: a server that lies to one client ---------------------------------------------------


def lie(kind: type, change: Callable[[Any], Any], victim: ClientId = VICTIM) -> Any:
    return lambda client, message: (
        change(message) if client == victim and isinstance(message, kind) else message
    )


def refuses(
    deployment: Deployment, refusal: Refusal, kind: type, change: Callable[[Any], Any], **rules: int
) -> Played:
    """The victim refuses and says nothing more; the others' total is exact."""
    machines = deployment.machines()
    machines[VICTIM] = deployment.machine(VICTIM, **rules)
    played = play(deployment, machines=machines, to_client=lie(kind, change))
    assert {c: g.refusal for c, g in played.gave_up.items()} == {VICTIM: refusal}
    assert played.dropped[VICTIM] is DropReason.REFUSED
    exact(played, deployment)
    return played


def substituted(listed: KeyList, client: ClientId, **changes: bytes) -> KeyList:
    return KeyList({**listed.keys, client: replace(listed.keys[client], **changes)})


@provokes(Refusal.KEYS_SUBSTITUTED, DropReason.REFUSED)
@pytest.mark.parametrize("name", ["encryption", "update_mask", "statistics_mask", "randomness"])
def test_key_list_with_a_key_its_owner_did_not_sign(seven: Deployment, name: str) -> None:
    other = KeyPair.draw(seven.entropy("server")).public
    refuses(
        seven,
        Refusal.KEYS_SUBSTITUTED,
        KeyList,
        lambda listed: substituted(listed, LIAR, **{name: other}),
    )


@pytest.mark.parametrize("name", ["encryption", "update_mask", "statistics_mask"])
def test_degenerate_key_signed_by_a_colluder(seven: Deployment, name: str) -> None:
    def change(listed: KeyList) -> KeyList:
        keys = replace(listed.keys[LIAR], **{name: bytes(32)})
        transcript = seven.start().description.transcript()
        signature = seven.keys[LIAR].sign(Tag.ADVERTISE, transcript, *keys.signed_parts())
        return substituted(listed, LIAR, **{name: bytes(32), "signature": signature})

    refuses(seven, Refusal.KEYS_SUBSTITUTED, KeyList, change)


@provokes(Refusal.KEY_REUSED)
def test_one_key_in_two_roles_or_of_two_peers(seven: Deployment) -> None:
    refuses(
        seven,
        Refusal.KEY_REUSED,
        KeyList,
        lambda m: substituted(m, LIAR, statistics_mask=m.keys[LIAR].update_mask),
    )
    refuses(
        seven,
        Refusal.KEY_REUSED,
        KeyList,
        lambda m: substituted(m, LIAR, update_mask=m.keys[ClientId(4)].update_mask),
    )


@provokes(Refusal.OWN_KEYS_MISSING)
def test_own_keys_missing_or_changed(seven: Deployment) -> None:
    for change in (
        lambda m: KeyList({c: k for c, k in m.keys.items() if c != VICTIM}),
        lambda m: substituted(m, VICTIM, encryption=m.keys[LIAR].encryption),
    ):
        refuses(seven, Refusal.OWN_KEYS_MISSING, KeyList, change)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (KeyList, lambda m: KeyList(first_keys(m.keys, 4))),
        (ShareDelivery, lambda m: replace(m, dealers=m.dealers[:4])),
        (ShareDelivery, lambda m: replace(m, dealers=m.dealers[1:])),
        (UploadList, lambda m: replace(m, digests=first_keys(m.digests, 4))),
        (StatisticsList, lambda m: StatisticsList(first_keys(m.signatures, 2))),
    ],
)
def test_announced_set_below_the_floor(seven: Deployment, kind: type, change: Any) -> None:
    refuses(seven, Refusal.COHORT_TOO_SMALL, kind, change)


@provokes(Refusal.SET_NOT_SUBSET)
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (KeyList, lambda m: KeyList({**m.keys, ClientId(7): m.keys[LIAR]})),
        (ShareDelivery, lambda m: replace(m, dealers=(*m.dealers, ClientId(7)))),
        (ShareDelivery, lambda m: replace(m, dealers=(*m.dealers, LIAR))),
        (UploadList, lambda m: replace(m, digests={**m.digests, ClientId(7): Digest(bytes(32))})),
        (StatisticsList, lambda m: StatisticsList({**m.signatures, ClientId(7): bytes(64)})),
        (AcceptedSet, lambda m: AcceptedSet((*m.accepted, ClientId(7)))),
        (AcceptedSet, lambda m: AcceptedSet((*m.accepted, LIAR))),
    ],
)
def test_announced_set_is_no_part_of_the_one_before(
    seven: Deployment, kind: type, change: Any
) -> None:
    refuses(seven, Refusal.SET_NOT_SUBSET, kind, change)


@provokes(Refusal.UNREADABLE_SHARE)
def test_own_shares_cannot_be_read(seven: Deployment) -> None:
    def garble(delivery: ShareDelivery) -> ShareDelivery:
        envelopes = {
            c: replace(e, ciphertext=bytes([e.ciphertext[0] ^ 1]) + e.ciphertext[1:])
            for c, e in list(delivery.envelopes.items())[:3]
        }
        return replace(delivery, envelopes={**delivery.envelopes, **envelopes})

    refuses(seven, Refusal.UNREADABLE_SHARE, ShareDelivery, garble)


def test_few_unreadable_envelopes_cost_nothing(seven: Deployment) -> None:
    def withhold(delivery: ShareDelivery) -> ShareDelivery:
        return replace(delivery, envelopes=first_keys(delivery.envelopes, 4))

    played = play(seven, to_client=lie(ShareDelivery, withhold))
    assert not played.gave_up
    exact(played, seven)


@provokes(Refusal.BAD_UPDATE)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_never_leave(seven: Deployment, bad: float) -> None:
    updates = seven.updates()
    updates[VICTIM][3] = bad
    played = play(seven, updates=updates)
    assert played.gave_up[VICTIM].refusal is Refusal.BAD_UPDATE
    assert VICTIM not in played.said(Upload)
    exact(played, seven)


def test_update_of_another_shape_never_leaves(seven: Deployment) -> None:
    updates = {**seven.updates(), VICTIM: np.zeros(DIM + 1, dtype=np.float32)}
    played = play(seven, updates=updates)
    assert played.gave_up[VICTIM].refusal is Refusal.BAD_UPDATE


@provokes(Refusal.RANDOMNESS_FORGED)
@pytest.mark.parametrize(
    "change",
    [
        lambda r: {**r, LIAR: bytes(32)},
        lambda r: {**r, LIAR: bytes(31)},
        lambda r: {c: v for c, v in r.items() if c != LIAR},
        lambda r: {**r, ClientId(7): bytes(32)},
    ],
)
def test_contribution_to_the_randomness_forged(seven: Deployment, change: Any) -> None:
    refuses(
        seven,
        Refusal.RANDOMNESS_FORGED,
        UploadList,
        lambda m: replace(m, randomness=change(m.randomness)),
    )


@provokes(Refusal.DIGEST_FORGED)
def test_own_upload_digest_forged_or_missing(seven: Deployment) -> None:
    for change in (
        lambda m: replace(m, digests={**m.digests, VICTIM: Digest(bytes(32))}),
        lambda m: replace(m, digests={c: v for c, v in m.digests.items() if c != VICTIM}),
    ):
        refuses(seven, Refusal.DIGEST_FORGED, UploadList, change)


@provokes(Refusal.VIEW_DISAGREES)
def test_member_that_signed_another_view(seven: Deployment) -> None:
    transcript = seven.start().description.transcript()
    other = seven.keys[LIAR].sign(Tag.VIEW_SIGNATURE, transcript, bytes(32))
    played = refuses(
        seven,
        Refusal.VIEW_DISAGREES,
        StatisticsList,
        lambda m: StatisticsList({**m.signatures, LIAR: other}),
    )
    assert VICTIM not in played.said(StatisticsShares)


def test_other_digest_of_a_peer_makes_another_view(seven: Deployment) -> None:
    change = lie(UploadList, lambda m: replace(m, digests={**m.digests, LIAR: Digest(bytes(32))}))
    played = play(seven, to_client=change)
    assert played.dropped == {VICTIM: DropReason.BAD_SIGNATURE}
    exact(played, seven)


@provokes(Refusal.ACCEPTED_NOT_GROUPS)
def test_accepted_set_that_splits_a_group(seven: Deployment) -> None:
    refuses(seven, Refusal.ACCEPTED_NOT_GROUPS, AcceptedSet, lambda m: AcceptedSet(m.accepted[:-1]))


def test_accepted_set_with_a_group_that_stayed_closed(seven: Deployment) -> None:
    played_groups = play(seven).progress.groups
    small = min(played_groups, key=len)  # three members: two vanish, one is left
    lost = set(small[1:])

    def vanish(client: ClientId, message: Any) -> Any:
        gone = isinstance(message, MaskedStatistics | StatisticsShares | Agreement | UpdateShares)
        return None if client in lost and gone else message

    def sneak(client: ClientId, message: Any) -> Any:
        if isinstance(message, AcceptedSet):
            return AcceptedSet(tuple(sorted((*message.accepted, small[0]))))
        return message

    assert small[0] not in play(seven, to_server=vanish).progress.accepted
    played = play(seven, to_server=vanish, to_client=sneak)
    assert {g.refusal for g in played.gave_up.values()} == {Refusal.ACCEPTED_NOT_GROUPS}
    assert played.total is None


@provokes(Refusal.ACCEPTED_TOO_SMALL)
def test_accepted_set_below_own_floor(seven: Deployment) -> None:
    groups = play(seven).progress.groups
    refuses(
        seven,
        Refusal.ACCEPTED_TOO_SMALL,
        AcceptedSet,
        lambda m: AcceptedSet(groups[0]),
        min_accepted=5,
    )


def test_accepted_set_with_fewer_than_two_honest_clients() -> None:
    pairs = Deployment(7, 0, replace(PARAMS, group_size=2))
    smallest = min(play(pairs).progress.groups, key=len)
    assert len(smallest) == 2  # one assumed colluder, one honest
    refuses(pairs, Refusal.ACCEPTED_TOO_SMALL, AcceptedSet, lambda m: AcceptedSet(smallest))


@provokes(Refusal.TOO_MANY_LEFT_OUT)
def test_groups_left_out_are_counted_over_the_run(seven: Deployment) -> None:
    def without_last(groups: Any, plan: Any) -> Decision:
        return Decision(tuple(g.index for g in groups[:-1]), {groups[-1].index: "test"})

    machines = seven.machines(max_left_out=1)
    first = play(seven, machines=machines, decide=without_last)
    assert first.total is not None
    second = play(seven, start=seven.start(1, model=1), machines=machines, decide=without_last)
    assert {g.refusal for g in second.gave_up.values()} == {Refusal.TOO_MANY_LEFT_OUT}
    assert second.aborted is AbortReason.TOO_FEW_AGREED


@provokes(Refusal.QUORUM_MISSING)
def test_fewer_than_a_quorum_of_valid_signatures(seven: Deployment) -> None:
    refuses(
        seven,
        Refusal.QUORUM_MISSING,
        AgreementList,
        lambda m: AgreementList(first_keys(m.signatures, 4)),
    )


def test_signatures_under_other_sets_or_of_strangers_do_not_count(seven: Deployment) -> None:
    progress = play(seven).progress
    transcript = seven.start().description.transcript()
    everybody = frozenset(seven.everybody)
    others = (
        agreement_parts(transcript, progress.view, everybody, frozenset(progress.groups[0])),
        agreement_parts(transcript, progress.view, everybody - {LIAR}, everybody),
        agreement_parts(transcript, Digest(bytes(32)), everybody, everybody),
        agreement_parts(Digest(bytes(32)), progress.view, everybody, everybody),
    )
    for parts in others:
        forged = {c: seven.keys[c].sign(Tag.AGREEMENT, *parts) for c in seven.everybody}
        refuses(
            seven,
            Refusal.QUORUM_MISSING,
            AgreementList,
            lambda m, forged=forged: AgreementList({**forged, **first_keys(m.signatures, 4)}),
        )
    larger = Deployment(8)
    cohort = larger.everybody[:7]

    def pad(listed: AgreementList) -> AgreementList:
        return AgreementList({**first_keys(listed.signatures, 4), ClientId(7): bytes(64)})

    played = play(larger, start=larger.start(cohort=cohort), to_client=lie(AgreementList, pad))
    assert played.gave_up[VICTIM].refusal is Refusal.QUORUM_MISSING


@provokes(Refusal.SECOND_ANSWER)
@pytest.mark.parametrize(
    ("kind", "answer", "change"),
    [
        (KeyList, DealtShares, lambda m: KeyList(first_keys(m.keys, 6))),
        (ShareDelivery, Upload, lambda m: replace(m, dealers=m.dealers[:6])),
        (UploadList, MaskedStatistics, lambda m: replace(m, digests=first_keys(m.digests, 6))),
        (
            StatisticsList,
            StatisticsShares,
            lambda m: StatisticsList(first_keys(m.signatures, 6)),
        ),
        (AcceptedSet, Agreement, lambda m: AcceptedSet(m.accepted[:-1])),
        (AgreementList, UpdateShares, lambda m: AgreementList(first_keys(m.signatures, 6))),
    ],
)
def test_a_phase_is_answered_for_one_set_only(
    seven: Deployment, kind: type, answer: type, change: Any
) -> None:
    played = play(seven, to_client=lie(kind, lambda m: [m, m, change(m)]))
    assert played.gave_up[VICTIM].refusal is Refusal.SECOND_ANSWER
    answers = played.said(answer)[VICTIM]
    assert len(answers) == 2  # the identical request got the identical answer
    assert answers[0] == answers[1]


@provokes(Refusal.OUT_OF_TURN)
def test_message_of_another_phase(seven: Deployment) -> None:
    for kind in (KeyList, ShareDelivery, UploadList, StatisticsList):
        played = play(seven, to_client=lie(kind, lambda m: AcceptedSet(seven.everybody)))
        assert played.gave_up[VICTIM].refusal is Refusal.OUT_OF_TURN
        assert VICTIM not in played.said(Agreement)


# A server that is honest, clients that are not --------------------------------------------------


def cheat(kind: type, change: Callable[[Any], Any], liar: ClientId = LIAR) -> Any:
    return lambda client, message: (
        change(message) if client == liar and isinstance(message, kind) else message
    )


def drops(
    deployment: Deployment, reason: DropReason, kind: type, change: Callable[[Any], Any]
) -> Played:
    """The liar is dropped with this reason, nobody else is, and the total is exact."""
    played = play(deployment, to_server=cheat(kind, change))
    assert played.dropped == {LIAR: reason}
    assert played.progress.dropped == {LIAR: reason}
    exact(played, deployment)
    return played


def resigned(deployment: Deployment, dealt: DealtShares, **changes: Any) -> DealtShares:
    changed = replace(dealt, **changes)
    parts = Dealing(
        changed.ciphertexts, changed.share_commitments, changed.secret_commitments
    ).signed_parts()
    transcript = deployment.start().description.transcript()
    return replace(changed, signature=deployment.keys[LIAR].sign(Tag.DEALING, transcript, *parts))


def readvertised(deployment: Deployment, keys: AdvertisedKeys, **changes: bytes) -> AdvertisedKeys:
    changed = replace(keys, **changes)
    transcript = deployment.start().description.transcript()
    signature = deployment.keys[LIAR].sign(Tag.ADVERTISE, transcript, *changed.signed_parts())
    return replace(changed, signature=signature)


@provokes(DropReason.SILENT)
@pytest.mark.parametrize(
    "kind",
    [
        AdvertisedKeys,
        DealtShares,
        Upload,
        MaskedStatistics,
        StatisticsShares,
        Agreement,
        UpdateShares,
    ],
)
def test_silence_in_any_phase(seven: Deployment, kind: type) -> None:
    drops(seven, DropReason.SILENT, kind, lambda m: None)


@provokes(DropReason.BAD_SIGNATURE)
@pytest.mark.parametrize("kind", [AdvertisedKeys, DealtShares, MaskedStatistics, Agreement])
def test_signature_that_does_not_verify(seven: Deployment, kind: type) -> None:
    drops(seven, DropReason.BAD_SIGNATURE, kind, lambda m: replace(m, signature=bytes(64)))


def bad_share(shares: OpenedShares) -> OpenedShares:
    first = min(shares.self_seeds)
    value = bytes([shares.self_seeds[first].value[0] ^ 1]) + shares.self_seeds[first].value[1:]
    wrong = Share(value, shares.self_seeds[first].salt)
    return OpenedShares({**shares.self_seeds, first: wrong}, shares.mask_keys)


@provokes(DropReason.MALFORMED)
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (DealtShares, lambda d, m: replace(m, ciphertexts=first_keys(m.ciphertexts, 5))),
        (
            DealtShares,
            lambda d, m: resigned(d, m, share_commitments=first_keys(m.share_commitments, 6)),
        ),
        (
            DealtShares,
            lambda d, m: resigned(
                d, m, share_commitments={c: r[:4] for c, r in m.share_commitments.items()}
            ),
        ),
        (
            DealtShares,
            lambda d, m: resigned(d, m, secret_commitments=(*m.secret_commitments, bytes(32))),
        ),
        (AdvertisedKeys, lambda d, m: readvertised(d, m, encryption=bytes(32))),
        (AdvertisedKeys, lambda d, m: readvertised(d, m, update_mask=m.encryption)),
        (Upload, lambda d, m: replace(m, payload=m.payload[:-4])),
        (Upload, lambda d, m: replace(m, payload=m.payload + b"\0")),
        (
            Upload,
            lambda d, m: replace(m, randomness={**m.randomness, ClientId(9): m.randomness[LIAR]}),
        ),
        (MaskedStatistics, lambda d, m: replace(m, payload=m.payload[:-8])),
        (
            StatisticsShares,
            lambda d, m: StatisticsShares(OpenedShares({}, m.shares.self_seeds)),
        ),
        (UpdateShares, lambda d, m: UpdateShares(OpenedShares({}, m.shares.self_seeds))),
    ],
)
def test_message_of_the_wrong_shape(seven: Deployment, kind: type, change: Any) -> None:
    drops(seven, DropReason.MALFORMED, kind, lambda m: change(seven, m))


def test_key_that_somebody_else_advertised(seven: Deployment) -> None:
    seen: dict[ClientId, AdvertisedKeys] = {}

    def copy(client: ClientId, message: Any) -> Any:
        if isinstance(message, AdvertisedKeys):
            seen[client] = message
            if client == LIAR:
                return readvertised(seven, message, update_mask=seen[VICTIM].update_mask)
        return message

    played = play(seven, to_server=copy)
    assert played.dropped == {LIAR: DropReason.MALFORMED}
    exact(played, seven)


@provokes(DropReason.OUT_OF_TURN)
def test_message_of_a_later_phase(seven: Deployment) -> None:
    drops(seven, DropReason.OUT_OF_TURN, DealtShares, lambda m: Agreement(bytes(64)))


def test_message_of_a_later_phase_beside_the_right_one(seven: Deployment) -> None:
    played = play(seven, to_server=cheat(Upload, lambda m: [m, Agreement(bytes(64))]))
    assert played.dropped == {LIAR: DropReason.OUT_OF_TURN}


@provokes(DropReason.EQUIVOCATION)
def test_two_different_answers_in_one_phase(seven: Deployment) -> None:
    def twice(message: Upload) -> list[Upload]:
        return [message, replace(message, payload=bytes(len(message.payload)))]

    played = play(seven, to_server=cheat(Upload, twice))
    assert played.dropped == {LIAR: DropReason.EQUIVOCATION}
    assert LIAR not in played.progress.accepted
    exact(played, seven)


@pytest.mark.parametrize(
    "kind",
    [AdvertisedKeys, DealtShares, Upload, MaskedStatistics, StatisticsShares, Agreement],
)
def test_an_identical_repeat_and_a_late_message_change_nothing(
    seven: Deployment, kind: type
) -> None:
    early: list[Any] = []

    def repeat(client: ClientId, message: Any) -> Any:
        if client == LIAR:
            if isinstance(message, kind):
                early.append(message)
                return [message, message]
            return [*early, message]  # the answer to an earlier phase comes again, late
        return message

    played = play(seven, to_server=repeat)
    assert not played.dropped
    exact(played, seven)


@provokes(DropReason.BAD_DIGEST)
def test_upload_that_does_not_match_its_digest(seven: Deployment) -> None:
    drops(seven, DropReason.BAD_DIGEST, Upload, lambda m: replace(m, digest=Digest(bytes(32))))


@provokes(DropReason.BAD_COMMITMENT)
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (
            Upload,
            lambda d, m: replace(m, randomness={**m.randomness, VICTIM: m.randomness[LIAR]}),
        ),
        (
            DealtShares,
            lambda d, m: resigned(
                d, m, secret_commitments=(*m.secret_commitments[:4], Digest(bytes(32)))
            ),
        ),
        (StatisticsShares, lambda d, m: StatisticsShares(bad_share(m.shares))),
        (UpdateShares, lambda d, m: UpdateShares(bad_share(m.shares))),
    ],
)
def test_opened_value_against_its_commitment(seven: Deployment, kind: type, change: Any) -> None:
    drops(seven, DropReason.BAD_COMMITMENT, kind, lambda m: change(seven, m))


@provokes(DropReason.NOT_INVITED)
def test_stranger_is_named_and_changes_nothing() -> None:
    eight = Deployment(8)
    server = RoundServer(eight.start(cohort=eight.everybody[:7]), eight.roster, {})
    server.start()
    effects = server.on_message(ClientId(7), Agreement(bytes(64)))
    assert effects == [Dropped(ClientId(7), DropReason.NOT_INVITED, "")]
    assert not server.progress.dropped


# Aborts -----------------------------------------------------------------------------------------


@provokes(
    AbortReason.TOO_FEW_ADVERTISED,
    AbortReason.TOO_FEW_DEALT,
    AbortReason.TOO_FEW_UPLOADED,
    AbortReason.TOO_FEW_STATISTICS,
    AbortReason.TOO_FEW_SHARES,
    AbortReason.TOO_FEW_AGREED,
)
@pytest.mark.parametrize(
    ("kind", "missing", "reason"),
    [
        (AdvertisedKeys, 3, AbortReason.TOO_FEW_ADVERTISED),
        (DealtShares, 3, AbortReason.TOO_FEW_DEALT),
        (Upload, 3, AbortReason.TOO_FEW_UPLOADED),
        (MaskedStatistics, 7, AbortReason.TOO_FEW_STATISTICS),
        (StatisticsShares, 3, AbortReason.TOO_FEW_SHARES),
        (Agreement, 3, AbortReason.TOO_FEW_AGREED),
        (UpdateShares, 3, AbortReason.TOO_FEW_SHARES),
    ],
)
def test_too_few_clients(seven: Deployment, kind: type, missing: int, reason: AbortReason) -> None:
    def quiet(client: ClientId, message: Any) -> Any:
        return None if client < missing and isinstance(message, kind) else message

    played = play(seven, to_server=quiet)
    assert played.aborted is reason
    assert played.total is None
    assert played.server.on_message(VICTIM, Agreement(bytes(64))) == []
    assert played.server.on_deadline() == []


@provokes(AbortReason.TOO_FEW_ACCEPTED)
def test_too_few_accepted_groups_or_clients(seven: Deployment) -> None:
    played = play(seven, decide=lambda groups, plan: Decision((), {}))
    assert played.aborted is AbortReason.TOO_FEW_ACCEPTED
    assert set(played.progress.left_out) == {GroupIndex(0), GroupIndex(1)}
    pairs = Deployment(7, 0, replace(PARAMS, group_size=2))

    def smallest(groups: Any, plan: Any) -> Decision:
        return Decision((min(groups, key=lambda g: len(g.members)).index,), {})

    assert play(pairs, decide=smallest).aborted is AbortReason.TOO_FEW_ACCEPTED


def test_fewer_accepted_groups_than_configured() -> None:
    both = Deployment(7, 0, replace(PARAMS, min_accepted_groups=2))
    played = play(both, decide=lambda groups, plan: Decision((groups[0].index,), {}))
    assert len(played.progress.groups[0]) >= PARAMS.colluders + 2
    assert played.aborted is AbortReason.TOO_FEW_ACCEPTED
    assert not played.progress.unmasking


def test_memory_refuses_to_sign_another_set_after_a_restart() -> None:
    one, two = Digest(bytes(32)), Digest(bytes([1]) * 32)
    memory = ClientMemory().joined(3).signing("agree", one, left_out=2)
    again = ClientMemory.from_json(memory.to_json())
    assert again.signing("agree", one, left_out=2) == memory  # the same set is not counted twice
    with pytest.raises(Refused) as error:
        again.signing("agree", two)
    assert error.value.reason is Refusal.SECOND_ANSWER
    assert again.joined(4).signing("agree", two).left_out == 2


def test_statistics_of_fewer_than_two_honest_clients_are_not_asked_open(seven: Deployment) -> None:
    pair = set(min(play(seven).progress.groups, key=len)[:2])  # a group large enough by itself

    def quiet(client: ClientId, message: Any) -> Any:
        return None if client not in pair and isinstance(message, MaskedStatistics) else message

    played = play(seven, to_server=quiet)
    assert set(played.progress.signatures) == pair
    assert played.aborted is AbortReason.TOO_FEW_STATISTICS
    assert not played.said(StatisticsShares)


def test_groups_that_all_shrank_below_the_floor_end_the_round() -> None:
    pairs = Deployment(7, 0, replace(PARAMS, group_size=2))
    heads = {group[0] for group in play(pairs).progress.groups}

    def quiet(client: ClientId, message: Any) -> Any:
        lone = client not in heads and isinstance(message, MaskedStatistics)
        return None if lone else message

    played = play(pairs, to_server=quiet)
    assert set(played.progress.signatures) == heads
    assert played.aborted is AbortReason.TOO_FEW_STATISTICS
    assert not played.said(StatisticsShares)


@provokes(AbortReason.BINDING_FAILED)
@pytest.mark.parametrize("bit", [0, 15, 40, 63])
def test_statistics_that_are_not_those_of_the_update(seven: Deployment, bit: int) -> None:
    def shift(message: MaskedStatistics) -> MaskedStatistics:
        words = np.frombuffer(message.payload, dtype="<u8").copy()
        words[0] += np.uint64(1 << bit)  # bits 15, 40 and 63 lie above the update's ring
        return replace(message, payload=words.tobytes())

    played = play(seven, to_server=cheat(MaskedStatistics, shift))
    assert played.aborted is AbortReason.BINDING_FAILED
    assert played.total is None
    assert played.progress.total_opened


@provokes(AbortReason.BAD_RECONSTRUCTION)
@pytest.mark.parametrize("kind", [SecretKind.UPDATE_SELF_SEED, SecretKind.STATISTICS_SELF_SEED])
def test_dealer_whose_shares_restore_another_secret(seven: Deployment, kind: SecretKind) -> None:
    def lie_about(message: DealtShares) -> DealtShares:
        commitments = list(message.secret_commitments)
        commitments[kind.value] = Digest(bytes(32))
        return resigned(seven, message, secret_commitments=tuple(commitments))

    played = play(seven, to_server=cheat(DealtShares, lie_about))
    assert played.aborted is AbortReason.BAD_RECONSTRUCTION
    assert played.total is None


def test_dealt_mask_key_that_is_not_the_advertised_one(seven: Deployment) -> None:
    other = KeyPair.draw(seven.entropy("other")).public

    def hook(client: ClientId, message: Any) -> Any:
        if client == LIAR and isinstance(message, AdvertisedKeys):
            return readvertised(seven, message, update_mask=other)
        if client == LIAR and isinstance(message, Upload):
            return None  # left out of the sum, so its key must be restored
        return message

    keep_own = {}

    def to_client(client: ClientId, message: Any) -> Any:
        if client == LIAR and isinstance(message, KeyList):  # the liar knows its own lie
            return KeyList({**message.keys, LIAR: keep_own[LIAR]})
        return message

    def remember(client: ClientId, message: Any) -> Any:
        if isinstance(message, AdvertisedKeys):
            keep_own[client] = message
        return hook(client, message)

    played = play(seven, to_server=remember, to_client=to_client)
    assert played.aborted is AbortReason.BAD_RECONSTRUCTION


@provokes(AbortReason.SERVER_STOPPED)
def test_operator_stops_the_server(seven: Deployment) -> None:
    server = RoundServer(seven.start(), seven.roster, {})
    server.start()
    assert [e.reason for e in server.stop()] == [AbortReason.SERVER_STOPPED]  # type: ignore[union-attr]
    assert server.over
    assert server.stop() == []


# A client that was given another model ----------------------------------------------------------


def other_model(deployment: Deployment, start: RoundStart) -> RoundStart:
    model = start.model.copy()
    model.view(np.uint32)[0] ^= 1
    return replace(
        start, model=model, description=replace(start.description, model=model_digest(model))
    )


def test_one_bit_of_the_model_costs_the_client_its_place(seven: Deployment) -> None:
    played = play(seven, to_client=lie(RoundStart, lambda m: other_model(seven, m)))
    assert played.dropped == {VICTIM: DropReason.BAD_SIGNATURE}
    assert VICTIM not in played.progress.accepted
    exact(played, seven)


def test_one_bit_of_the_model_passed_on_ends_the_round(seven: Deployment) -> None:
    real = {}

    def note(client: ClientId, message: Any) -> Any:
        if client == VICTIM and isinstance(message, AdvertisedKeys):
            real[client] = message
        return message

    def server(client: ClientId, message: Any) -> Any:
        if client == VICTIM and isinstance(message, RoundStart):
            return other_model(seven, message)
        if isinstance(message, KeyList):
            return KeyList({**message.keys, **real})
        return message

    played = play(seven, to_client=server, to_server=note)
    assert {g.refusal for g in played.gave_up.values()} == {Refusal.KEYS_SUBSTITUTED}
    assert len(played.gave_up) == 6
    assert played.aborted is AbortReason.TOO_FEW_DEALT
    assert played.total is None


# Rule 1 over all answers, rule 3, rule 4 --------------------------------------------------------


def shares_by_peer(played: Played, kind: type) -> dict[ClientId, tuple[int, int]]:
    """Peer → how many holders released its seed, how many its key."""
    seeds: dict[ClientId, set[ClientId]] = {}
    keys: dict[ClientId, set[ClientId]] = {}
    for holder, messages in played.said(kind).items():
        for message in messages:
            for peer in message.shares.self_seeds:  # type: ignore[union-attr]
                seeds.setdefault(peer, set()).add(holder)
            for peer in message.shares.mask_keys:  # type: ignore[union-attr]
                keys.setdefault(peer, set()).add(holder)
    assert all(
        not (set(m.shares.self_seeds) & set(m.shares.mask_keys))  # type: ignore[union-attr]
        for messages in played.said(kind).values()
        for m in messages
    )
    return {
        peer: (len(seeds.get(peer, ())), len(keys.get(peer, ()))) for peer in seeds.keys() | keys
    }


@pytest.mark.parametrize("split", range(1, 7))
def test_no_split_of_the_sets_opens_both_secrets_of_a_peer(seven: Deployment, split: int) -> None:
    def equivocate(client: ClientId, message: Any) -> Any:
        if isinstance(message, StatisticsList) and client < split:
            return StatisticsList({c: s for c, s in message.signatures.items() if c != LIAR})
        return message

    played = play(seven, to_client=equivocate)
    threshold = 5
    for kind in (StatisticsShares, UpdateShares):
        for seeds, keys in shares_by_peer(played, kind).values():
            # with c = 1 colluder, who would release both
            assert not (seeds + 1 >= threshold and keys + 1 >= threshold)
    if played.total is not None:
        exact(played, seven)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_opened_spans_no_single_client(seed: int) -> None:
    rng = np.random.default_rng(seed)
    deployment = Deployment(9, seed)
    lost = set(rng.choice(9, size=int(rng.integers(0, 4)), replace=False).tolist())

    def vanish(client: ClientId, message: Any) -> Any:
        gone = isinstance(message, MaskedStatistics | StatisticsShares | Agreement | UpdateShares)
        return None if client in lost and gone else message

    def decide(groups: Any, plan: Any) -> Decision:
        kept = tuple(g.index for g in groups)[: max(1, len(groups) - seed % 2)]
        return Decision(kept, {})

    played = play(deployment, to_server=vanish, decide=decide)
    threshold = played.server.context.topology.shares
    released = shares_by_peer(played, StatisticsShares)
    for peer, (seeds, keys) in released.items():
        assert (seeds == 0) or (keys == 0), peer
    # The sums that the released seeds open: a group whose members' seeds are all restorable.
    rows = []
    for group in played.progress.groups:
        members = [c for c in group if released.get(c, (0, 0))[0] >= threshold]
        if members:
            row = np.zeros(9)
            row[members] = 1
            rows.append(row)
    totals = shares_by_peer(played, UpdateShares)
    summed = [c for c, (seeds, _keys) in totals.items() if seeds >= threshold]
    if summed:
        row = np.zeros(9)
        row[summed] = 1
        rows.append(row)
        assert sorted(summed) == list(played.progress.accepted)
    assert rows
    matrix = np.array(rows)
    rank = np.linalg.matrix_rank(matrix)
    for client in range(9):
        alone = np.zeros(9)
        alone[client] = 1
        assert np.linalg.matrix_rank(np.vstack([matrix, alone])) == rank + 1


def test_every_attempt_draws_new_keys_and_masks(seven: Deployment) -> None:
    machines = seven.machines()

    def closed(client: ClientId, message: Any) -> Any:
        return None if isinstance(message, StatisticsShares) else message

    first = play(seven, machines=machines, to_server=closed)
    second = play(seven, start=seven.start(1), machines=machines)
    one, two = (
        {key for keys in p.progress.keys.values() for key in (*keys.public_keys(), keys.randomness)}
        for p in (first, second)
    )
    assert len(one) == len(two) == 28
    assert not one & two
    assert first.progress.digests.keys() == second.progress.digests.keys()
    assert not set(first.progress.digests.values()) & set(second.progress.digests.values())


def test_memory_is_durable_before_a_signature_leaves(seven: Deployment) -> None:
    played = play(seven)
    for effects in played.client_effects.values():
        order = [
            type(e.message).__name__ if isinstance(e, Reply) else "remember"
            for e in effects
            if isinstance(e, Reply | Remember)
        ]
        for kind in ("AdvertisedKeys", "MaskedStatistics", "Agreement", "UpdateShares"):
            assert order[order.index(kind) - 1] == "remember"
        memories = [e.memory for e in effects if isinstance(e, Remember)]
        assert memories[0].counter == 0
        assert set(memories[1].openings.values()) == {1}
        assert set(memories[1].signed) == {"view"}
        assert set(memories[2].signed) == {"view", "agree"}
        assert not memories[2].totals
        assert memories[3].totals == {model_digest(seven.model()).hex()}


def test_memory_survives_a_restart(seven: Deployment) -> None:
    machines = seven.machines()
    play(seven, machines=machines)
    memory = ClientMemory.from_json(machines[VICTIM].memory.to_json())
    assert memory == machines[VICTIM].memory
    assert invite(seven, seven.start(0), memory) is Refusal.ROUND_REPLAYED
    assert invite(seven, seven.start(1), memory) is Refusal.TOTAL_REPEATED
    assert invite(seven, seven.start(1, model=1), memory) is None
    with pytest.raises(ValueError, match="not a client's memory"):
        ClientMemory.from_json("{}")


def test_server_makes_facts_durable_before_it_speaks(seven: Deployment) -> None:
    effects = play(seven).effects
    kinds = [
        e.kind if isinstance(e, Persist) else type(e.message).__name__
        for e in effects
        if isinstance(e, Persist | Send)
    ]
    for fact, message in (
        ("round", "RoundStart"),
        ("uploaded", "UploadList"),
        ("sent", "StatisticsList"),
        ("opened", "AcceptedSet"),
        ("accepted", "AcceptedSet"),
    ):
        assert kinds.index(fact) < kinds.index(message)
    assert kinds.count("upload") == 7
    assert max(i for i, k in enumerate(kinds) if k == "upload") < kinds.index("UploadList")
    facts = repr([e for e in effects if isinstance(e, Persist)])
    assert "Secret" not in facts
    assert "Share" not in facts


def test_late_update_is_not_kept(seven: Deployment) -> None:
    machine: ClientMachine = seven.machine(VICTIM)
    assert machine.on_update(np.zeros(DIM, dtype=np.float32), rounding(VICTIM)) == []
    played = play(seven, machines={**seven.machines(), VICTIM: machine})
    assert machine.on_update(np.zeros(DIM, dtype=np.float32), rounding(VICTIM)) == []
    assert machine._update is None
    exact(played, seven)


def test_a_client_below_its_group_floor_opens_nothing() -> None:
    nine = Deployment(9, policy=replace(POLICY, min_group=3))
    victim_group = next(g for g in play(nine).progress.groups if VICTIM in g)
    absent = next(c for c in victim_group if c != VICTIM)

    def vanish(client: ClientId, message: Any) -> Any:
        late = isinstance(message, MaskedStatistics | StatisticsShares | Agreement | UpdateShares)
        return None if client == absent and late else message

    played = play(nine, to_server=vanish)
    released = shares_by_peer(played, StatisticsShares)
    assert not set(victim_group) & set(released)
    assert not set(victim_group) & set(played.progress.accepted)
    exact(played, nine)


def test_a_client_of_a_shrunken_group_sends_no_statistics_at_all() -> None:
    kit = Deployment(9, 2, replace(PARAMS, group_size=4), replace(POLICY, min_group=4))
    lost = ClientId(8)

    def vanish(client: ClientId, message: Any) -> Any:
        return None if client == lost and isinstance(message, Upload) else message

    played = play(kit, to_server=vanish)
    shrunk = next(group for group in played.progress.groups if lost in group)
    assert len(shrunk) == 4
    for client, messages in played.said(MaskedStatistics).items():
        assert [not m.payload for m in messages] == [client in shrunk]  # type: ignore[union-attr]


def test_row_norm_over_the_cap_with_small_coefficients(seven: Deployment) -> None:
    wide = StatisticsPlan(DIM, (LabelConfusion.from_matrix(0, np.full((2, 12), 1000, np.int64)),))
    policy = replace(POLICY, max_row_norm_bits=14)
    wide.check(policy, 0)  # 12,000 is below 2^14
    with pytest.raises(Refused, match="a row norm of 14 bits"):
        wide.check(replace(policy, max_row_norm_bits=13), 0)


COVERED.add(Refusal.MASKS_WOULD_SHOW)  # tests/unit/round/test_sparse.py


@pytest.mark.parametrize("reason", [*Refusal, *DropReason, *AbortReason], ids=str)
def test_every_named_reason_is_provoked_by_a_test(reason: Any) -> None:
    assert reason in COVERED


def test_small_plan_has_every_part() -> None:
    assert {type(p) for p in small_plan().parts} == {OutputLayer, CountSketch, LabelConfusion}
