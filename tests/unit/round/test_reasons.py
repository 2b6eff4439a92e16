"""Every refusal, drop and abort has a test that provokes it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from auror.errors import AbortReason, DropReason, Refusal

HERE = Path(__file__).parent
ELSEWHERE = {
    Refusal.MASKS_WOULD_SHOW: "round/test_sparse.py",
    Refusal.FORGED_MEANS: "round/test_label_rows.py",
    Refusal.UNKNOWN_ROUND: "client/test_*.py",
    **dict.fromkeys(
        (
            Refusal.COHORT_TOO_SMALL,
            Refusal.ATTEMPTS_EXHAUSTED,
            Refusal.BUDGET_SPENT,
            Refusal.GROUP_TOO_SMALL,
            Refusal.POLICY_EXPIRED,
            Refusal.RING_OVERFLOW,
            Refusal.ROUND_REPLAYED,
            Refusal.STATISTICS_TOO_LARGE,
            Refusal.TOO_MANY_DISPUTED,
            Refusal.TOTAL_REPEATED,
            Refusal.WATCHED_TOO_OFTEN,
            Refusal.WRONG_COHORT,
            Refusal.WRONG_CONFIGURATION,
            Refusal.WRONG_FLAGS,
            Refusal.WRONG_MODEL,
            Refusal.WRONG_POLICY,
            Refusal.WRONG_STEP,
        ),
        "round/test_invitation*.py",
    ),
    **dict.fromkeys(
        (
            Refusal.DATA_UNUSABLE,
            Refusal.DEVICE_FAILED,
            Refusal.OUT_OF_MEMORY,
            Refusal.STATE_UNWRITABLE,
            Refusal.TRAINING_FAILED,
        ),
        "client/test_failures.py",
    ),
}
"""Reasons that a test expects without the decorator ``provokes``, and where."""


@cache
def provoked() -> frozenset[str]:
    """The arguments of ``provokes`` over the tests of this folder, as written."""
    return frozenset(
        ast.unparse(argument)
        for path in HERE.glob("test_*.py")
        for test in ast.parse(path.read_text()).body
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_")
        for decorator in test.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "provokes"
        for argument in decorator.args
    )


@pytest.mark.parametrize("reason", [*Refusal, *DropReason, *AbortReason], ids=str)
def test_every_named_reason_is_provoked_by_a_test(
    reason: Refusal | DropReason | AbortReason,
) -> None:
    if reason in ELSEWHERE:
        sources = [path.read_text() for path in HERE.parent.glob(ELSEWHERE[reason])]
        assert any(str(reason) in source for source in sources)
    else:
        assert str(reason) in provoked()
