"""Label flips: what they change and what not, who is drawn, and how they are written."""

from __future__ import annotations

import numpy as np
import pytest

from auror.errors import ConfigError
from auror.learn.attack import Aim, Attack, Own, changed_samples, poisoned_samples
from auror.learn.attacks import (
    WHITE,
    Backdoor,
    Forged,
    LabelFlip,
    UntargetedFlip,
    draw_malicious,
    parse_attack,
)
from auror.learn.forgery import Alie, Few, Gap, Ipm, Null, Scale, Sign, Sleep
from auror.learn.min_max import MinMax, MinSum

LABELS = np.array([4, 9, 4, 1, 4, 0, 4, 9])


def poison(labels: np.ndarray, flip: LabelFlip, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """The labels and how many changed; the samples stay the very same array."""
    x = np.zeros((len(labels), 1, 2, 2), dtype=np.float32)
    samples, poisoned = flip.poison(x, labels, rng)
    assert samples is x
    return poisoned, changed_samples((x, labels), (samples, poisoned))


def test_a_full_flip_changes_every_source_label_and_no_other() -> None:
    before = LABELS.copy()
    poisoned, changed = poison(LABELS, LabelFlip(4, 9), np.random.default_rng(1))
    np.testing.assert_array_equal(poisoned, [9, 9, 9, 1, 9, 0, 9, 9])
    assert changed == 4
    np.testing.assert_array_equal(LABELS, before)


def test_a_partial_flip_draws_which_ones_from_the_generator() -> None:
    labels = np.repeat([4, 5], [40, 10])
    flip = LabelFlip(4, 9, 0.25)
    draws = [poison(labels, flip, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert [changed for _, changed in draws] == [10, 10, 10]
    assert all((poisoned == 9).sum() == 10 for poisoned, _ in draws)
    np.testing.assert_array_equal(draws[0][0], draws[1][0])
    assert (draws[0][0] != draws[2][0]).any()


@pytest.mark.parametrize(("sources", "changed"), [(0, 0), (1, 1), (2, 1), (3, 2)])
def test_a_half_flip_rounds_halves_up(sources: int, changed: int) -> None:
    labels = np.array([4] * sources + [1] * 3)
    assert poison(labels, LabelFlip(4, 9, 0.5), np.random.default_rng(1))[1] == changed


def test_parsing_round_trips() -> None:
    assert parse_attack("none") is None
    assert parse_attack("flip:4:9") == LabelFlip(4, 9)
    assert parse_attack("flip:4:9:0.5") == LabelFlip(4, 9, 0.5)
    for text in ("flip:4:9", "flip:4:9:0.5"):
        assert str(parse_attack(text, classes=10)) == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "write none, flip"),
        ("flip", "for example flip:4:9"),
        ("flip:4", "for example flip:4:9"),
        ("flip:4:9:1:1", "for example flip:4:9"),
        ("swap:4:9", "for example flip:4:9"),
        ("flip:four:9", "no number"),
        ("flip:4:9:most", "no number"),
        ("flip:4:4", "choose two classes"),
        ("flip:-1:9", "count from 0"),
        ("flip:4:9:0", r"in \(0, 1\]"),
        ("flip:4:9:1.5", r"in \(0, 1\]"),
        ("flip:4:9:nan", r"in \(0, 1\]"),
        ("flip-all:4:9", "for example flip:4:9"),
        ("flip-all:0", r"in \(0, 1\]"),
        ("min-max:2", "takes no number"),
        ("flip:4:9+min-sum", "write it alone"),
        ("backdoor:10", r"classes are 0\.\.9"),
        ("backdoor:0:0", r"in \(0, 1\]"),
        ("sleep:5", "only changes another attack"),
        ("flip:4:9+sign", "write it alone"),
        ("flip:4:9+", "no forgery"),
        ("flip:4:9+hide", "no forgery"),
        ("flip:4:9+sleep", "needs a number"),
        ("flip:4:9+sleep:1.5", "whole number"),
        ("flip:4:9+scale:0", "above 0"),
        ("flip:4:9+null:3", "takes no number"),
        ("flip:4:10", r"classes are 0\.\.9"),
    ],
)
def test_a_bad_attack_says_how_to_write_it(text: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint) as caught:
        parse_attack(text, classes=10)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["flip-all", "flip-all+sleep:3"])
@pytest.mark.parametrize(
    ("classes", "expected"), [(10, [5, 0, 5, 8, 5, 9, 5, 0]), (11, [6, 1, 6, 9, 6, 10, 6, 1])]
)
def test_untargeted_flips_mirror_the_labels(text: str, classes: int, expected: list[int]) -> None:
    attack = parse_attack(text)
    assert attack is not None
    assert (attack.poisons, attack.aim) == (True, None)
    x = np.zeros((8, 1, 2, 2), dtype=np.float32)
    samples, labels = poisoned_samples(attack, x, LABELS, np.random.default_rng(1), classes)
    assert samples is x
    assert labels.tolist() == expected
    assert LABELS.tolist() == [4, 9, 4, 1, 4, 0, 4, 9]


def test_the_middle_of_an_odd_number_of_classes_keeps_its_label() -> None:
    x, y = np.zeros((4, 1, 2, 2), dtype=np.float32), np.array([2, 2, 0, 4])
    after = poisoned_samples(UntargetedFlip(), x, y, np.random.default_rng(1), 5)
    assert changed_samples((x, y), after) == 2


def test_a_part_of_the_samples_is_flipped_of_whatever_class() -> None:
    x, y = np.zeros((400, 1, 2, 2), dtype=np.float32), np.arange(400) % 10
    after = poisoned_samples(UntargetedFlip(0.25), x, y, np.random.default_rng(1), 10)
    assert changed_samples((x, y), after) == 100
    assert len(set(y[after[1] != y].tolist())) == 10


def test_untargeted_flips_need_labels() -> None:
    x, y = np.zeros((4, 1, 2, 2), dtype=np.float32), np.zeros(4, dtype=np.int64)
    with pytest.raises(ConfigError, match="these data have none"):
        poisoned_samples(UntargetedFlip(), x, y, np.random.default_rng(1), None)


def test_ones_own_attack_hears_of_the_classes() -> None:
    class Counting(Attack):
        def on(self, classes: int) -> Counting:
            made = Counting()
            made.found = classes
            return made

        def poison(
            self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
        ) -> tuple[np.ndarray, np.ndarray]:
            return x, np.full_like(y, self.found - 1)

    x, y = np.zeros((4, 1, 2, 2), dtype=np.float32), np.zeros(4, dtype=np.int64)
    made = poisoned_samples(Own("own", Counting()), x, y, np.random.default_rng(1), 7)
    assert made[1].tolist() == [6] * 4


def test_a_backdoor_stamps_and_relabels_a_part_and_leaves_its_input() -> None:
    x, y = np.zeros((8, 1, 28, 28), dtype=np.float32), LABELS
    samples, labels = Backdoor(0, 0.5).poison(x, y, np.random.default_rng(1))
    assert changed_samples((x, y), (samples, labels)) == 4
    assert x.max() == 0
    stamped = np.flatnonzero((samples != 0).any(axis=(1, 2, 3)))
    assert len(stamped) == 4
    assert (labels[stamped] == 0).all()
    kept = np.setdiff1d(np.arange(8), stamped)
    np.testing.assert_array_equal(labels[kept], y[kept])
    expected = np.zeros((28, 28), dtype=np.float32)
    expected[25:, 25:] = WHITE
    np.testing.assert_array_equal(samples[stamped[0], 0], expected)


def test_a_forgery_trains_on_what_its_payload_says() -> None:
    x, none = np.zeros((8, 1, 2, 2), dtype=np.float32), Forged(None, Sign())
    both = Forged(LabelFlip(4, 9), Scale(10.0))
    assert (both.poisons, both.forges, both.aim) == (True, True, Aim(source=4, target=9))
    assert both.poison(x, LABELS, np.random.default_rng(1))[1].tolist() == [9, 9, 9, 1, 9, 0, 9, 9]
    assert (none.poisons, none.forges, none.aim) == (False, True, None)
    assert none.poison(x, LABELS, np.random.default_rng(1))[1] is LABELS
    assert not LabelFlip(4, 9).forges


def test_samples_that_came_or_went_all_count_as_changed() -> None:
    x = np.zeros((8, 1, 2, 2), dtype=np.float32)
    assert changed_samples((x, LABELS), (x[:3], LABELS[:3])) == 3
    assert changed_samples((x, LABELS), (x.copy(), LABELS.copy())) == 0


@pytest.mark.parametrize(
    ("text", "attack"),
    [
        ("backdoor:0", Backdoor(0)),
        ("backdoor:0:0.25", Backdoor(0, 0.25)),
        ("flip:4:9+sleep:10", Forged(LabelFlip(4, 9), Sleep(10))),
        ("flip:4:9:0.5+scale:10.0", Forged(LabelFlip(4, 9, 0.5), Scale(10.0))),
        ("flip:4:9+gap:0.01", Forged(LabelFlip(4, 9), Gap(0.01))),
        ("flip:4:9+few:8", Forged(LabelFlip(4, 9), Few(8))),
        ("backdoor:0+null", Forged(Backdoor(0), Null())),
        ("sign", Forged(None, Sign())),
        ("alie", Forged(None, Alie())),
        ("ipm:0.5", Forged(None, Ipm(0.5))),
        ("min-max", Forged(None, MinMax())),
        ("min-sum", Forged(None, MinSum())),
        ("flip-all", UntargetedFlip()),
        ("flip-all:0.5", UntargetedFlip(0.5)),
        ("flip-all+scale:5.0", Forged(UntargetedFlip(), Scale(5.0))),
    ],
)
def test_every_attack_is_read_as_it_is_written(text: str, attack: object) -> None:
    assert parse_attack(text, classes=10) == attack
    assert str(attack) == text


def test_malicious_clients_are_drawn_at_random_by_seed() -> None:
    drawn = draw_malicious(30, 9, seed=1)
    assert drawn == draw_malicious(30, 9, seed=1)
    assert len(set(drawn)) == 9
    assert set(drawn) <= set(range(30))
    times = np.zeros(30)
    for seed in range(300):
        times[list(draw_malicious(30, 9, seed))] += 1
    # Binomial(300, 0.3): mean 90, deviation 8; every client is within five of them.
    assert times.min() > 50
    assert times.max() < 130


def test_nobody_malicious_and_everybody_malicious() -> None:
    assert draw_malicious(30, 0, seed=1) == ()
    with pytest.raises(ConfigError, match="must be smaller than clients"):
        draw_malicious(30, 30, seed=1)
    with pytest.raises(ConfigError, match="0 or more"):
        draw_malicious(30, -1, seed=1)
