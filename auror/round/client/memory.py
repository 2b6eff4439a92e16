"""What a client must not forget over restarts (rule 3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from auror.errors import Refusal, Refused
from auror.ids import Digest

_EMPTY: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class ClientMemory:
    """Written durably before the signature that depends on it leaves the client."""

    counter: int = -1
    """Largest round counter ever joined; only larger ones are joined again."""
    openings: Mapping[str, int] = field(default_factory=lambda: _EMPTY)
    """Statistics openings joined, per model hash (hex)."""
    totals: frozenset[str] = frozenset()
    """Model hashes (hex) for which a total was helped to open."""
    left_out: int = 0
    """Groups left out so far in this run, as this client saw them announced."""
    signed: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """In the last round: phase name → hash (hex) of what was signed in it."""

    def joined(self, counter: int) -> ClientMemory:
        return replace(self, counter=counter, signed=MappingProxyType({}))

    def opened_statistics(self, model: Digest) -> ClientMemory:
        count = self.openings.get(model.hex(), 0) + 1
        return replace(self, openings=MappingProxyType({**self.openings, model.hex(): count}))

    def opened_total(self, model: Digest) -> ClientMemory:
        return replace(self, totals=self.totals | {model.hex()})

    def signing(self, phase: str, content: Digest, left_out: int = 0) -> ClientMemory:
        """Raises Refused when something else was signed in this phase of this round."""
        if self.signed.get(phase, content.hex()) != content.hex():
            raise Refused(Refusal.SECOND_ANSWER, f"signed another set in phase {phase}")
        return replace(
            self,
            left_out=self.left_out + (left_out if phase not in self.signed else 0),
            signed=MappingProxyType({**self.signed, phase: content.hex()}),
        )

    def to_json(self) -> str:
        return json.dumps(
            {
                "counter": self.counter,
                "openings": dict(self.openings),
                "totals": sorted(self.totals),
                "left_out": self.left_out,
                "signed": dict(self.signed),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> ClientMemory:
        """Raises ValueError when ``text`` is not what :meth:`to_json` wrote."""
        raw = json.loads(text)
        try:
            return cls(
                counter=int(raw["counter"]),
                openings=MappingProxyType({str(k): int(v) for k, v in raw["openings"].items()}),
                totals=frozenset(str(model) for model in raw["totals"]),
                left_out=int(raw["left_out"]),
                signed=MappingProxyType({str(k): str(v) for k, v in raw["signed"].items()}),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a client's memory: {error}") from error
