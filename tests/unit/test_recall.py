"""Results that are known by the object they were computed of."""

from __future__ import annotations

import threading

import pytest

from auror.recall import recalled


def test_the_same_object_is_computed_once_and_an_equal_one_anew() -> None:
    seen: list[tuple[int, ...]] = []

    @recalled(2)
    def total(numbers: tuple[int, ...]) -> int:
        seen.append(numbers)
        return sum(numbers)

    one, other = (tuple(range(1, 4)) for _ in range(2))
    assert one is not other
    assert [total(one), total(one), total(other), total(one), total(other)] == [6] * 5
    assert seen == [one, other]


def test_the_latest_used_stay() -> None:
    seen: list[object] = []

    @recalled(2)
    def name(thing: object) -> int:
        seen.append(thing)
        return id(thing)

    first, second, third = object(), object(), object()
    for thing in (first, second, first, third, first, second):
        assert name(thing) == id(thing)
    assert seen == [first, second, third, second]


def test_what_raises_is_not_kept() -> None:
    tries: list[int] = []

    @recalled(2)
    def once_bad(_thing: object) -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("not yet")
        return 5

    thing = object()
    with pytest.raises(ValueError, match="not yet"):
        once_bad(thing)
    assert once_bad(thing) == once_bad(thing) == 5
    assert len(tries) == 2


def test_threads_get_the_result_of_their_own_object() -> None:
    @recalled(3)
    def same(thing: tuple[int]) -> tuple[int]:
        return thing

    wrong: list[object] = []
    things = [(k,) for k in range(8)]

    def ask(shift: int) -> None:
        for k in range(4000):
            thing = things[(k * shift) % 8]
            if same(thing) is not thing:
                wrong.append(thing)

    threads = [threading.Thread(target=ask, args=(shift,)) for shift in (1, 3, 5, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
