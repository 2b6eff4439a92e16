"""What a run begins after, of what clients say: colluders use up nothing and flag nobody."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from auror.ids import ClientId
from auror.round.client.memory import ClientMemory
from auror.round.past import MOST_COUNTER, MOST_ERAS, Past, common_past

CLAIMS = st.builds(
    Past,
    counter=st.integers(0, MOST_COUNTER),
    era=st.integers(0, MOST_ERAS),
    flagged=st.frozensets(st.integers(0, 6).map(ClientId)).map(lambda who: tuple(sorted(who))),
)


def test_who_took_part_in_nothing_asks_for_nothing() -> None:
    assert ClientMemory().past == Past() == common_past([], 2)


@given(st.lists(CLAIMS, min_size=1, max_size=9), st.lists(CLAIMS, max_size=3))
def test_liars_reach_no_era_and_no_flag_beyond_the_honest(
    honest: list[Past], liars: list[Past]
) -> None:
    found = common_past([*liars, *honest], len(liars))
    assert found.era <= max(one.era for one in honest)
    assert set(found.flagged) <= {client for one in honest for client in one.flagged}


@given(st.integers(0, 3), CLAIMS, st.data())
def test_what_all_honest_clients_know_counts_whatever_liars_say(
    colluders: int, true: Past, data: st.DataObject
) -> None:
    liars = data.draw(st.lists(CLAIMS, min_size=colluders, max_size=colluders))
    found = common_past([*liars, *[true] * (colluders + 1)], colluders)
    assert found.counter >= true.counter
    assert found.era >= true.era
    assert set(found.flagged) >= set(true.flagged)


def test_a_client_that_joined_a_few_rounds_more_is_followed_and_an_absurd_one_is_not() -> None:
    told = [Past(counter=7)] * 5
    assert common_past([*told, Past(counter=9)], 1).counter == 9
    assert common_past([*told, Past(counter=MOST_COUNTER)], 1).counter < 2**21
    assert common_past([Past(counter=MOST_COUNTER)], 1).counter < 2**21
