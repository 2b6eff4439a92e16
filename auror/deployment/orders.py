"""What an operator told a server, kept beside its run: it outlasts a restart (docs/adr/0032).

``orders.json`` in the run folder, written by the server alone and before it says yes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from auror.errors import ConfigError
from auror.files import replace_file
from auror.ids import ClientId

ORDERS = "orders.json"


@dataclass(frozen=True, kw_only=True)
class Orders:
    """Of one run."""

    excluded: frozenset[ClientId] = frozenset()
    """Whom no round invites, by hand."""
    paused: bool = False
    """No round begins."""

    def keep(self, folder: Path) -> None:
        """Durable on return. Raises OSError."""
        made = {"excluded": sorted(map(int, self.excluded)), "paused": self.paused}
        replace_file(folder / ORDERS, json.dumps(made).encode() + b"\n", 0o600)


def orders_of(folder: Path) -> Orders:
    """What stands in ``folder``; nothing where nobody ever said anything.

    Raises:
        ConfigError: it is damaged.
    """
    path = folder / ORDERS
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if type(raw["paused"]) is not bool or any(type(one) is not int for one in raw["excluded"]):
            raise TypeError
        return Orders(excluded=frozenset(map(ClientId, raw["excluded"])), paused=raw["paused"])
    except FileNotFoundError:
        return Orders()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{path} is damaged: remove it, and say again who is excluded or that the training"
            " pauses"
        ) from error
