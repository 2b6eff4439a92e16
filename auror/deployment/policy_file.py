"""``policy.json``: the signed policy as canonical JSON, one text per policy."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any, TypeVar

from auror.deployment.addresses import MAX_CLIENTS
from auror.errors import ConfigError
from auror.ids import ClientId, Digest
from auror.params import Budget, PlanCaps, RoundParams
from auror.round.arithmetic import update_bits
from auror.round.policy import Policy
from auror.round.roster import Entries, RosterEntry

POLICY_FILE = "policy.json"
_Part = TypeVar("_Part", RoundParams, Budget)
_Value = TypeVar("_Value")


def policy_json(policy: Policy) -> bytes:
    """Sorted keys, no blanks."""
    whole = {
        "budget": asdict(policy.budget),
        "caps": asdict(policy.caps),
        "clean_samples": policy.clean_samples.hex(),
        "deployment": policy.name,
        "expires": policy.expires,
        "first_models": [digest.hex() for digest in policy.first_models],
        "former": _rows(policy.former),
        "members": _rows(policy.members),
        "params": asdict(policy.params),
        "predecessors": [digest.hex() for digest in policy.predecessors],
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
        caps = dict(whole["caps"])
        caps["parts"] = tuple(caps["parts"])
        policy = Policy(
            deployment=bytes.fromhex(whole["deployment"]),
            version=_whole(whole["version"]),
            expires=_whole(whole["expires"]),
            predecessors=_digests(whole["predecessors"]),
            members=_entries(whole["members"]),
            former=_entries(whole["former"]),
            params=_numbers(RoundParams, whole["params"]),
            caps=PlanCaps(**{name: _bounded(value) for name, value in caps.items()}),
            task=whole["task"].encode(),
            first_models=_digests(whole["first_models"]),
            budget=_numbers(Budget, whole["budget"]),
            clean_samples=_digest(whole["clean_samples"]),
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


def _rows(entries: Entries) -> list[dict[str, Any]]:
    return [
        {
            "client": client,
            "verify_key": entry.verify_key.hex(),
            "tls_key": entry.tls_key.hex(),
            "since": entry.since,
        }
        for client, entry in sorted(entries.items())
    ]


def _entries(rows: list[dict[str, Any]]) -> dict[ClientId, RosterEntry]:
    found = {}
    for row in rows:
        client, since = ClientId(row["client"]), row["since"]
        if not 0 <= _whole(client) < MAX_CLIENTS or _whole(since) < 1:
            raise TypeError("a member's number that is none")
        key, tls_key = bytes.fromhex(row["verify_key"]), Digest(bytes.fromhex(row["tls_key"]))
        found[client] = RosterEntry(client, key, tls_key, since)
    return found


def _digest(text: str) -> Digest:
    return Digest(bytes.fromhex(text))


def _digests(texts: list[str]) -> tuple[Digest, ...]:
    return tuple(_digest(text) for text in texts)


def _numbers(kind: type[_Part], raw: dict[str, Any]) -> _Part:
    if {type(value) for value in raw.values()} - {int, float}:
        raise TypeError("a parameter that is no number")
    known = {one.name for one in fields(kind)}
    if raw.keys() != known:
        raise TypeError(f"parameters other than {', '.join(sorted(known))}")
    return kind(**{name: _bounded(value) for name, value in raw.items()})


def _whole(raw: object) -> int:
    if type(raw) is not int:
        raise TypeError("a number that is not whole")
    return _bounded(raw)


def _bounded(raw: _Value) -> _Value:
    """Unchanged: what is signed is a number of 64 bits, if it is a whole one."""
    if isinstance(raw, int) and not 0 <= raw < 1 << 63:
        raise TypeError("a number beyond 63 bits")
    return raw


def _switch(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise TypeError("a switch that is neither true nor false")
    return raw


def check_ring(policy: Policy) -> str:
    """How the sums that the members of ``policy`` make fit their ring.

    Raises:
        ConfigError: they do not.
    """
    policy.check()
    params, n = policy.params, len(policy.members)
    return f"{params.quantisation_bits} bits of {n} clients fit into {update_bits(params, n)}"
