"""Plays vectors that are lists of operations: who is told or sends what, and what must come of it.

``operations.json`` is written by hand. Every operation has one outcome: names of replies, drops,
refusals or the reason of an abort, in the order in which they happen, joined by ", ". Replies and
announcements are named by their kind (auror/wire/limits.py), the rest as in auror/errors.py.

play      everybody is honest until the server has sent a message of kind ``until`` (or the end);
          of the announcements on the way only the last is named
tell      client ``to`` gets the newest message of a kind that the server sent it (or others)
send      the server gets the newest message of a kind from each client of ``from``
lose      the newest message of a kind from each client of ``from`` never arrives
deadline  the time of the phase is up
decide    the defence accepts the groups ``accepted``, by default all that are open
restart   the program of client ``to`` starts again with what it had made durable

``change`` alters a message on its way, ``at`` a path of field names, client numbers and places:
flip (one bit), cut (the last byte), without / with (a client), keep (the first so many), only
(these clients, or "own group"), copy (what stands at another path); ``names`` makes a receipt that
names these dealers, signed by its sender. Who is told other uploads is told their proof, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from rounds_kit import MEANS, Deployment, rounding

from auror.crypto.tags import Tag
from auror.ids import ClientId, GroupIndex
from auror.round.client.state import ClientEffect, Ended, GaveUp, Reply, Train
from auror.round.facts import decode_memory, encode
from auror.round.lists import AllDigests
from auror.round.messages import ClientMessage, Receipt, ServerMessage, UploadList, Withdraw
from auror.round.public import receipt_parts
from auror.round.server.context import (
    Aborted,
    Decision,
    Dropped,
    Finished,
    Opened,
    Send,
    ServerEffect,
)
from auror.round.server.machine import RoundServer
from auror.wire import codec

NOTHING = "nothing"
Operation = Mapping[str, Any]


class Stage:
    """Machines of all parties and the messages between them, none of which moves by itself."""

    def __init__(self, clients: int, seed: int) -> None:
        self._kit = Deployment(clients, seed)
        self._start = self._kit.start()
        self._machines = self._kit.machines()
        self._updates = self._kit.updates()
        self._server = RoundServer(self._start, self._kit.policy, {})
        self._told: dict[tuple[ClientId, str], ServerMessage] = {}
        self._said: dict[tuple[ClientId, str], ClientMessage] = {}
        self._to_tell: dict[ClientId, str] = {}
        self._to_send: dict[ClientId, str] = {}
        self._opened: tuple[GroupIndex, ...] | None = None
        self._groups: tuple[tuple[ClientId, ...], ...] = ()
        self._begun = False

    def do(self, operation: Operation) -> str:
        """What comes of one operation."""
        if not self._begun:
            self._begun = True
            self._heard(self._server.start())
        match operation["operation"]:
            case "play":
                return self._play(operation.get("until"))
            case "tell":
                return _joined(self._tell(ClientId(operation["to"]), operation))
            case "send":
                senders = map(ClientId, operation["from"])
                return _joined(name for c in senders for name in self._send(c, operation))
            case "lose":
                for client in operation["from"]:
                    assert self._to_send.pop(ClientId(client)) == operation["message"]
                return NOTHING
            case "deadline":
                self._to_tell.clear()
                self._to_send.clear()
                return _joined(self._heard(self._server.on_deadline()))
            case "decide":
                assert self._opened is not None
                kept = tuple(GroupIndex(k) for k in operation.get("accepted", self._opened))
                self._opened = None
                return _joined(self._heard(self._server.on_decision(Decision(kept, {}))))
            case "restart":
                client = ClientId(operation["to"])
                memory = decode_memory(encode(self._machines[client].memory))
                self._machines[client] = self._kit.machine(client, memory)
                return NOTHING
            case unknown:
                raise ValueError(f"unknown operation {unknown}")

    def _play(self, until: str | None) -> str:
        names: list[str] = []
        while not (until in names or (self._server.over and not self._to_tell)):
            if self._to_tell:
                client = min(self._to_tell)
                self._tell(client, {"message": self._to_tell[client]})
            elif self._to_send:
                client = min(self._to_send)
                names += self._send(client, {"message": self._to_send[client]})
            elif self._opened is not None:
                decision = Decision(self._opened, {})
                self._opened = None
                names += self._heard(self._server.on_decision(decision))
            else:
                names += self._heard(self._server.on_deadline())
        return _joined(
            name for at, name in enumerate(names) if name.isupper() or at == len(names) - 1
        )

    def _tell(self, client: ClientId, operation: Operation) -> list[str]:
        kind = operation["message"]
        if self._to_tell.get(client) == kind:
            del self._to_tell[client]
        own = self._told.get((client, kind))
        others = (m for (_, told), m in self._told.items() if told == kind)
        message = own if own is not None else next(others)
        message = self._altered(client, message, operation.get("change", {}))
        machine = self._machines[client]
        effects = machine.on_message(message)
        if any(isinstance(effect, Train) for effect in effects):
            effects = effects + machine.on_update(self._updates[client], rounding(client), MEANS)
        return self._answered(client, effects)

    def _answered(self, client: ClientId, effects: Iterable[ClientEffect]) -> list[str]:
        names = []
        for effect in effects:
            match effect:
                case Reply(message):
                    kind = codec.kind_of(message).field
                    self._said[client, kind] = message
                    self._to_send[client] = kind
                    if not isinstance(message, Withdraw):
                        names.append(kind)
                case GaveUp(refusal):
                    names.append(refusal.name)
                case Ended():
                    names.append("ended")
                case _:
                    pass
        return names

    def _send(self, client: ClientId, operation: Operation) -> list[str]:
        kind = operation["message"]
        if self._to_send.get(client) == kind:
            del self._to_send[client]
        message = self._altered(client, self._said[client, kind], operation.get("change", {}))
        return self._heard(self._server.on_message(client, message))

    def _heard(self, effects: Iterable[ServerEffect]) -> list[str]:
        names = []
        for effect in effects:
            match effect:
                case Send(to, message):
                    kind = codec.kind_of(message).field
                    for client in to:
                        self._told[client, kind] = message
                        self._to_tell[client] = kind
                    names.append(kind)
                case Dropped(_, reason):
                    names.append(reason.name)
                case Opened(groups):
                    self._opened = tuple(group.index for group in groups)
                    self._groups = tuple(group.members for group in groups)
                    names.append("opened")
                case Finished():
                    names.append("finished")
                case Aborted(reason):
                    names.append(reason.name)
                case _:
                    pass
        return names

    def _altered(self, client: ClientId, message: Any, change: Operation) -> Any:
        if not change:
            return message
        if "names" in change:
            assert isinstance(message, Receipt)
            names = tuple(ClientId(c) for c in change["names"])
            parts = receipt_parts(
                self._start.description.transcript(), self._server.state.offered, names
            )
            return Receipt(names, self._kit.keys[client].sign(Tag.RECEIPT, *parts))
        if change.get("only") == "own group":
            change = {**change, "only": next(g for g in self._groups if client in g)}
        if "copy" in change:
            change = {**change, "copied": _found(message, change["copy"].split("."))}
        changed = altered(message, change["at"].split("."), change)
        if isinstance(changed, UploadList) and change["at"] == "uploaded":
            known = self._server.state.uploads.digests
            if client in changed.uploaded and known.keys() >= set(changed.uploaded):
                return AllDigests({c: known[c] for c in changed.uploaded}).list_for(client)
        return changed


def altered(value: Any, path: list[str], change: Operation) -> Any:
    """A copy of ``value`` with one thing in it changed."""
    if path:
        name, rest = path[0], path[1:]
        if isinstance(value, Mapping):
            return {**value, ClientId(int(name)): altered(value[ClientId(int(name))], rest, change)}
        if isinstance(value, tuple):
            at = int(name)
            return (*value[:at], altered(value[at], rest, change), *value[at + 1 :])
        return replace(value, **{name: altered(getattr(value, name), rest, change)})
    if "copy" in change:
        return change["copied"]
    if "flip" in change:
        if is_dataclass(value) and not isinstance(value, type):
            first = fields(value)[0].name
            return replace(value, **{first: altered(getattr(value, first), [], change)})
        return bytes([value[0] ^ 1]) + value[1:]
    if "cut" in change:
        return value[:-1]
    if "only" in change:
        chosen = [ClientId(c) for c in change["only"]]
        return {c: value[c] for c in chosen} if isinstance(value, Mapping) else tuple(chosen)
    if isinstance(value, Mapping):
        if "with" in change:
            return {**value, ClientId(change["with"]): value[min(value)]}
        kept = list(sorted(value)[: change["keep"]]) if "keep" in change else list(value)
        return {c: value[c] for c in kept if c != change.get("without")}
    if "with" in change:
        return (*value, ClientId(change["with"]))
    kept = value[: change["keep"]] if "keep" in change else value
    return tuple(c for c in kept if c != change.get("without"))


def _found(value: Any, path: list[str]) -> Any:
    for name in path:
        value = value[ClientId(int(name))] if isinstance(value, Mapping) else getattr(value, name)
    return value


def play(vector: Mapping[str, Any]) -> list[str]:
    """The outcome of every operation of one vector."""
    stage = Stage(vector["clients"], vector["seed"])
    return [stage.do(operation) for operation in vector["operations"]]


def _joined(names: Iterable[str]) -> str:
    found: list[str] = []
    for name in names:  # seven clients that are silent are told as one
        if not found or found[-1] != name:
            found.append(name)
    return ", ".join(found) or NOTHING
