"""Draw the two machines' tables into docs/protocol.md, between the marks."""

from __future__ import annotations

import sys
from pathlib import Path

from auror.round.client.transitions import ALWAYS, TRANSITIONS
from auror.round.messages import RoundStart
from auror.round.server.state import EXPECTED, ORDER

PAGE = Path(__file__).resolve().parents[1] / "docs/protocol.md"
BEGIN, END = "<!-- pictures: scripts/protocol_pictures.py -->\n", "<!-- end of pictures -->\n"


def conversation() -> str:
    """Who sends what in one round, by state: Mermaid's sequence diagram."""
    lines = ["sequenceDiagram", "  participant S as server", "  participant C as each client"]
    told: list[type] = [RoundStart, *(m for takes in TRANSITIONS.values() for m in takes)]
    states = [state for state, takes in EXPECTED.items() if takes]
    for message, answer, state in zip(told, ORDER, states, strict=True):
        lines += [
            f"  S->>C: {message.__name__}",
            f"  C->>S: {answer.__name__}",
            f"  Note over S: {state.__name__}",
        ]
    return "\n".join(lines)


def client() -> str:
    """The client's states: Mermaid's state diagram."""
    lines = ["stateDiagram-v2", "  [*] --> Idle"]
    lines += [f"  Idle --> {ALWAYS[RoundStart].__name__}: RoundStart"]
    states = list(TRANSITIONS)
    for state, takes in TRANSITIONS.items():
        for message, then in takes.items():
            lines.append(f"  {state.__name__} --> {then.__name__}: {message.__name__}")
        if not takes and state.__name__ == "Training":
            then = states[states.index(state) + 1]
            lines.append(f"  {state.__name__} --> {then.__name__}: its own update")
    return "\n".join(lines)


def pictures() -> str:
    """What stands between the marks."""
    blocks = (f"```mermaid\n{drawn}\n```\n" for drawn in (conversation(), client()))
    return "\n" + "\n".join(blocks) + "\n"


def page(text: str) -> str:
    """``text`` with the pictures of now.

    Raises:
        ValueError: a mark is missing.
    """
    head, rest = text.split(BEGIN)
    _old, tail = rest.split(END)
    return head + BEGIN + pictures() + END + tail


def main() -> int:
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
