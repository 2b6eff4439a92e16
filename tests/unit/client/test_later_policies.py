"""A later version of the policy that the server hands on: held from then on, or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from auror_client.held_policy import handed_on, newest, policy_file
from line import ME, Bench, played

from auror.deployment.policy_file import policy_json
from auror.errors import ConfigError, CredentialsError, Refusal
from auror.ids import ClientId, Digest
from auror.round.client.machine import ClientMachine
from auror.round.client.state import Reply
from auror.round.messages import AdvertisedKeys, KeyList, NewPolicy, Withdraw
from auror.round.policy import Policy
from auror.round.roster import Keys
from auror.wire.fields import WireError
from auror.wire.v1 import transport_pb2 as pb

NEWCOMER = Keys(bytes([1]) * 32, Digest(bytes([2]) * 32))


def say(bench: Bench, policy: Policy) -> NewPolicy:
    return NewPolicy(policy_json(policy))


def test_a_version_is_held_durably_and_the_next_round_is_joined_under_it(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        house, first = bench.house, bench.house.policy
        later = first.successor(house.operator, newcomers=[NEWCOMER])
        answering = bench.session.answering
        answering._take_policy(say(bench, later))
        assert answering.credentials.policy == later
        assert answering.limits.clients == 8
        assert answering.past.version == 2
        assert bench.journal.load().policy_version == 2
        kept = policy_file(tmp_path, first.name, ME)
        assert kept.read_bytes() == policy_json(later)
        answering._take_policy(say(bench, later))  # sent again over another stream
        answering._take_policy(say(bench, first))
        assert answering.credentials.policy == later

    played(tmp_path, scene)


def test_a_round_that_is_open_is_left_and_never_joined_again(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        house = bench.house
        machine = house.machine(ME)
        start = house.start(0)
        kinds = [type(getattr(e, "message", None)) for e in machine.on_message(start)]
        assert AdvertisedKeys in kinds
        later = house.policy.successor(house.operator)
        assert machine.adopt(later).memory.policy_version == 2
        for message, refusal in (
            (start, Refusal.WRONG_POLICY),  # not the answer of before
            (KeyList((), {}, {}, ()), Refusal.OUT_OF_TURN),
        ):
            (reply, _) = machine.on_message(message)
            assert reply == Reply(Withdraw(refusal))

    played(tmp_path, scene)


def test_a_machine_takes_no_version_that_does_not_follow(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        house = bench.house
        machine: ClientMachine = house.machine(ME)
        other = replace(
            house.policy.successor(house.operator), params=replace(house.policy.params, colluders=0)
        ).signed(house.operator)
        with pytest.raises(ConfigError, match="other params"):
            machine.adopt(other)
        assert machine.memory.policy_version == 1

    played(tmp_path, scene)


def test_what_a_server_can_hand_on(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        house, own = bench.house, bench.session.answering.credentials
        first, operator = house.policy, house.operator
        second = first.successor(operator, {ClientId(6)})
        assert handed_on(own, policy_json(second)) == second
        assert handed_on(own, policy_json(first)) is None
        held = replace(own, policy=second)
        assert handed_on(held, policy_json(first)) is None  # a version before: not gone back to
        stranger = house.keys[ClientId(3)]
        for text in (
            b"{}",
            policy_json(replace(second, signature=first.signature)),
            policy_json(second.signed(stranger)),
        ):
            with pytest.raises(WireError, match="none of the operator's"):
                handed_on(own, text)
        fork = first.successor(operator)
        with pytest.raises(ConfigError, match="two policies of one version"):
            handed_on(held, policy_json(fork))
        with pytest.raises(ConfigError, match="does not follow version 2"):
            handed_on(held, policy_json(fork.successor(operator)))
        revoked = first.successor(operator, {ME})
        with pytest.raises(CredentialsError, match="client 0 was revoked by the operator"):
            handed_on(own, policy_json(revoked))

    played(tmp_path, scene)


def test_a_client_whose_rules_the_smaller_roster_cannot_keep_ends(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        house = bench.house
        answering = bench.session.answering
        answering._rules = replace(answering._rules, min_present=7)
        smaller = house.policy.successor(house.operator, {ClientId(6)})
        with pytest.raises(ConfigError, match=r"rules\.min_present = 7: .* policy has 6 members"):
            answering._take_policy(say(bench, smaller))
        assert answering.credentials.policy.version == 1

    played(tmp_path, scene)


def test_who_was_excluded_and_is_reinstated_waits_for_invitations(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        house, answering = bench.house, bench.session.answering
        for back, still in (((), True), ((ME,), False)):
            answering.excluded = "flagged"
            policy = answering.credentials.policy.successor(house.operator, reinstated=back)
            answering._take_policy(say(bench, policy))
            assert (answering.excluded is not None) is still
        bench.line().goodbye(pb.GOODBYE_REASON_FINISHED)
        await bench.session.run()

    played(tmp_path, scene)


def test_a_start_takes_the_later_of_both_versions(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        own, house = bench.session.answering.credentials, bench.house
        assert newest(tmp_path, tmp_path, own) is own
        second = house.policy.successor(house.operator)
        third = second.successor(house.operator)
        path = policy_file(tmp_path, house.policy.name, ME)
        path.write_bytes(policy_json(second))
        ahead = replace(own, policy=third)
        assert newest(tmp_path, tmp_path, ahead) is ahead
        budget = replace(third.budget, max_openings=10**6)
        larger = replace(third, budget=budget).signed(house.operator)
        with pytest.raises(CredentialsError, match="raises max_openings"):
            newest(tmp_path, tmp_path, replace(own, policy=larger))
        path.write_bytes(policy_json(second).replace(b'"version":2', b'"version":3'))
        with pytest.raises(CredentialsError, match=r"policy\.json: "):
            newest(tmp_path, tmp_path, own)

    played(tmp_path, scene)
