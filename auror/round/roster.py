"""Who takes part: numbers, keys, and since which version of the policy each one counts.

A number belongs to one identity for ever. Whoever leaves stays in the policy as a former member, so
that everybody can see that its number was not given to another key.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from auror.crypto.signing import VERIFY_KEY_BYTES
from auror.crypto.tags import encode, number
from auror.errors import ConfigError
from auror.ids import DIGEST_BYTES, ClientId, Digest


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """One enrolled client: its protocol identity and the key that it connects with."""

    client: ClientId
    verify_key: bytes
    tls_key: Digest
    """SHA-256 of the public half of its TLS key (SubjectPublicKeyInfo, DER), whatever certificate
    carries it: a renewed one needs no other policy."""
    since: int = 1
    """Version with which it joined or was last reinstated: flags of before do not count."""

    def __post_init__(self) -> None:
        if len(self.verify_key) != VERIFY_KEY_BYTES or len(self.tls_key) != DIGEST_BYTES:
            raise ValueError("a roster entry has a 32-byte key and a 32-byte fingerprint")
        if self.since < 1:
            raise ValueError("members count from a version on: 1, 2, …")


@dataclass(frozen=True, slots=True)
class Keys:
    """What a newcomer brings: public halves."""

    verify_key: bytes
    tls_key: Digest
    """As in the roster."""


Entries = Mapping[ClientId, RosterEntry]


@dataclass(frozen=True, slots=True)
class Roster:
    """Members and former members."""

    members: Entries
    former: Entries

    def __post_init__(self) -> None:
        """Raises ConfigError: two entries of one number, or one under another's."""
        if not self.members.keys().isdisjoint(self.former):
            raise ConfigError("policy: a former member that is a member")
        if any(client != entry.client for client, entry in self.everybody.items()):
            raise ConfigError("policy: a member is entered under another member's number")

    @property
    def everybody(self) -> Entries:
        """Whoever was ever enrolled."""
        return {**self.former, **self.members}

    @property
    def next_number(self) -> ClientId:
        """Of the next newcomer: no number is given twice."""
        return ClientId(max(self.everybody, default=-1) + 1)

    def without(self, clients: Collection[ClientId]) -> Roster:
        """After ``clients`` left. Raises ConfigError: one of them is no member."""
        for client in sorted(set(clients) - self.members.keys()):
            raise ConfigError(_stranger(client, self.members, "no member"))
        gone = {c: entry for c, entry in self.members.items() if c in clients}
        kept = {c: entry for c, entry in self.members.items() if c not in clients}
        return Roster(kept, {**self.former, **gone})

    def reinstated(self, clients: Collection[ClientId], version: int) -> Roster:
        """With ``clients`` among the members, anew from ``version`` on, each with its own keys.

        Raises:
            ConfigError: one of them was never enrolled.
        """
        for client in sorted(set(clients) - self.everybody.keys()):
            raise ConfigError(_stranger(client, self.everybody, "neither member nor former member"))
        back = {c: replace(self.everybody[c], since=version) for c in clients}
        former = {c: entry for c, entry in self.former.items() if c not in clients}
        return Roster({**self.members, **back}, former)

    def joined(self, newcomers: Sequence[Keys], version: int) -> Roster:
        """With ``newcomers``, who count from ``version`` on and get the next numbers.

        Raises:
            ConfigError: one of them has a key that somebody had before.
        """
        known = {key for e in self.everybody.values() for key in (e.verify_key, e.tls_key)}
        members = dict(self.members)
        for client, keys in enumerate(newcomers, self.next_number):
            if not known.isdisjoint((keys.verify_key, keys.tls_key)):
                raise ConfigError(
                    f"a newcomer's key is {self._owner(keys)}: one site is enrolled once; reinstate"
                    " it, or let it make other keys with `auror enrol`"
                )
            known |= {keys.verify_key, keys.tls_key}
            number = ClientId(client)
            members[number] = RosterEntry(number, keys.verify_key, keys.tls_key, version)
        return Roster(members, self.former)

    def _owner(self, keys: Keys) -> str:
        for client, entry in sorted(self.everybody.items()):
            if keys.verify_key == entry.verify_key or keys.tls_key == entry.tls_key:
                return f"that of client {client}" + (", who left" if client in self.former else "")
        return "that of another newcomer"

    def signed_parts(self) -> tuple[bytes, bytes]:
        """Canonical: members, former members."""
        return _encoded(self.members), _encoded(self.former)


def _encoded(entries: Entries) -> bytes:
    rows = (
        part
        for client, entry in sorted(entries.items())
        for part in (number(client), entry.verify_key, entry.tls_key, number(entry.since))
    )
    return encode(*rows)


def _stranger(client: ClientId, known: Entries, what: str) -> str:
    where = f"numbered {min(known)} … {max(known)}" if known else "none"
    return f"client {client} is {what}; those there are {where} (`auror roster list DIR`)"
