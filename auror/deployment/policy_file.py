"""``policy.json``: the signed policy as canonical JSON, one text per policy."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any, TypeVar

from auror.errors import ConfigError
from auror.ids import ClientId, Digest
from auror.params import Budget, PlanCaps, RoundParams
from auror.round.policy import Policy, RosterEntry

POLICY_FILE = "policy.json"
_Part = TypeVar("_Part", RoundParams, Budget)


def policy_json(policy: Policy) -> bytes:
    """Sorted keys, no blanks."""
    whole = {
        "budget": asdict(policy.budget),
        "caps": asdict(policy.caps),
        "deployment": policy.name,
        "expires": policy.expires,
        "first_models": [digest.hex() for digest in policy.first_models],
        "members": [
            {
                "client": client,
                "verify_key": entry.verify_key.hex(),
                "certificate": entry.certificate.hex(),
            }
            for client, entry in sorted(policy.members.items())
        ],
        "params": asdict(policy.params),
        "predecessor": policy.predecessor.hex(),
        "release_model": policy.release_model,
        "signature": policy.signature.hex(),
        "task": policy.task.decode(),
        "version": policy.version,
    }
    return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def parse_policy(raw: bytes) -> Policy:
    """The policy, its signature not yet verified.

    Raises:
        ConfigError: a value that no policy can have; the text says which.
        ValueError: not the text of a policy.
    """
    try:
        whole: dict[str, Any] = json.loads(raw)
        members = {}
        for row in whole["members"]:
            client = ClientId(row["client"])
            members[client] = RosterEntry(
                client, bytes.fromhex(row["verify_key"]), Digest(bytes.fromhex(row["certificate"]))
            )
        caps = dict(whole["caps"])
        caps["parts"] = tuple(caps["parts"])
        policy = Policy(
            deployment=bytes.fromhex(whole["deployment"]),
            version=whole["version"],
            expires=whole["expires"],
            predecessor=Digest(bytes.fromhex(whole["predecessor"])),
            members=members,
            params=_numbers(RoundParams, whole["params"]),
            caps=PlanCaps(**caps),
            task=whole["task"].encode(),
            first_models=tuple(Digest(bytes.fromhex(text)) for text in whole["first_models"]),
            budget=_numbers(Budget, whole["budget"]),
            release_model=_switch(whole["release_model"]),
            signature=bytes.fromhex(whole["signature"]),
        )
    except ConfigError:
        raise
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if policy_json(policy) != raw:
        raise ValueError("not in canonical form")
    return policy


def _numbers(kind: type[_Part], raw: dict[str, Any]) -> _Part:
    if {type(value) for value in raw.values()} - {int, float}:
        raise TypeError("a parameter that is no number")
    known = {one.name for one in fields(kind)}
    if raw.keys() != known:
        raise TypeError(f"parameters other than {', '.join(sorted(known))}")
    return kind(**raw)


def _switch(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise TypeError("a switch that is neither true nor false")
    return raw
