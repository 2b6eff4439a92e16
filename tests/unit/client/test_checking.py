"""What a client makes of what it measured: clocks, versions, the time of its uploads."""

from __future__ import annotations

from dataclasses import replace

import pytest
from auror_client.checking import MOST_SKEW_S, check_patience, check_skew, check_version
from auror_client.probe import Probed
from rounds_kit import Deployment

from auror.errors import ConfigError, CredentialsError
from auror.round.policy import Policy

NEAR = Probed(round_trip_s=0.2, uplink=1e6, skew_s=0.0, policy_version=1)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Deployment(6, task=b'{"synthetic": 1000000}').policy


@pytest.mark.parametrize("skew", [0.0, 30.0, -30.0, MOST_SKEW_S, MOST_SKEW_S + 0.1])
def test_clocks_may_be_a_minute_apart(skew: float) -> None:
    """Half of the way there and back is not known better."""
    assert "give or take 0.10 s" in check_skew(replace(NEAR, skew_s=skew))


@pytest.mark.parametrize(("skew", "says"), [(61.0, "61 s behind"), (-90.0, "90 s ahead of")])
def test_more_is_to_be_mended(skew: float, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        check_skew(replace(NEAR, skew_s=skew))


def test_versions_are_compared(policy: Policy) -> None:
    assert check_version(NEAR, policy) == "1 here, 1 at the server"
    assert "hand on" in check_version(replace(NEAR, policy_version=2), policy)
    with pytest.raises(CredentialsError, match=r"copy the newest server/policy\.json"):
        check_version(replace(NEAR, policy_version=0), policy)


def test_an_upload_must_take_less_than_others_wait_for_it(policy: Policy) -> None:
    """A million entries of 15 bits: 1.9 MB, and 120 s."""
    assert check_patience(NEAR, policy).startswith("1.88 MB at 1 MB/s take 1.9 s of the 120 s")
    assert "take 0.1 s" in check_patience(replace(NEAR, uplink=1e9), policy)
    slow = replace(NEAR, uplink=15_000.0)
    with pytest.raises(ConfigError, match=r"take 125\.0 s, and .* --training-patience 251"):
        check_patience(slow, policy)
    with pytest.raises(ConfigError, match="others wait 120 s"):
        check_patience(replace(NEAR, uplink=150_000.0), policy, clients=10)
