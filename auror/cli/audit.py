"""``auror audit``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auror.cli.shared import EPILOG, FORMAT, epilog_with, one_line_errors
from auror.deployment.console import CommandGroup

if TYPE_CHECKING:
    from auror.audit.explain import Explained
    from auror.audit.verify import Verified

_PATH = click.Path(path_type=Path)
_CODES = epilog_with(12, "the audit does not hold")


@click.group("audit", cls=CommandGroup)
def command() -> None:
    """What a server's run can prove: verify all of it, or show what it says of a client."""


@command.command("verify", epilog=_CODES)
@click.argument("run", type=_PATH)
@click.option("--credentials", type=_PATH, default=None,
              help="Folder with the operator.pub and ca.pem to trust, such as a client's."
              "  [default: those that RUN names]")  # fmt: skip
@click.option("--head", default=None, metavar="HASH",
              help="A head that was printed before (64 hexadecimal digits): RUN must lead to it"
                   " still.")  # fmt: skip
@click.option("--own-detector", is_flag=True,
              help="Let a detector run here that is code of the run's own.")  # fmt: skip
@FORMAT
@one_line_errors
def verify(
    run: Path, credentials: Path | None, head: str | None, own_detector: bool, form: str
) -> None:
    """Recompute the chain, the server's and clients' signatures, evidence and verdicts of RUN.

    RUN is the run folder of an auror-server, or a copy. Exits with 0 only if everything holds,
    and with 12 and a line that names the first bad entry otherwise.
    """
    from auror.audit.evidence import named_detector  # noqa: PLC0415 - keeps --help quick
    from auror.audit.start import read_roots  # noqa: PLC0415
    from auror.audit.verify import verify_audit  # noqa: PLC0415

    trusted = None if credentials is None else read_roots(credentials)
    found = verify_audit(run, trusted, head, named_detector(own_detector))
    click.echo(json.dumps(found.to_dict()) if form == "json" else verified_text(found))


@command.command("show", epilog=EPILOG)
@click.argument("run", type=_PATH)
@click.option("--round", "number", type=int, required=True, help="1, 2, …, over the whole run.")
@click.option("--client", type=int, required=True, help="The client's number.")
@FORMAT
@one_line_errors
def show(run: Path, number: int, client: int, form: str) -> None:
    """Explain what RUN says of a client after a round: its part, the verdict, what to check.

    It verifies nothing: that is `auror audit verify`.
    """
    from auror.audit.explain import explain  # noqa: PLC0415 - keeps --help quick

    found = explain(run, number, client)
    click.echo(json.dumps(found.to_dict()) if form == "json" else explained_text(found))


def verified_text(found: Verified) -> str:
    """A few lines for people."""
    lines = [
        f"holds: {found.entries} entries, {found.rounds} rounds of deployment {found.deployment}",
        f"{found.signatures} signatures of clients, {found.verdicts} verdicts computed again",
        _VERIFIED + (f", {found.totals} totals" if found.totals else ""),
        f"trusted: {_ROOTS[found.roots]}",
    ]
    if found.unaudited:
        lines.append(f"not covered: the first {found.unaudited} rounds, of an older version")
    if found.without_messages:
        broken = ", ".join(map(str, found.without_messages))
        lines.append(f"broken off by crashes, without signatures: round {broken}")
    return "\n".join([*lines, f"head: {found.head}"])


_VERIFIED = (
    "verified: chain, policies, records, models, sets and draws, evidence, verdicts, every table's"
    " columns; not: the state to go on from, a round in play"
)
_ROOTS = {
    "given": "the given operator key and CA",
    "the run's own": "the operator key and CA that the run names; --credentials names yours",
}


def explained_text(found: Explained) -> str:
    """A few lines for people."""
    group = ", ".join(map(str, found.group)) or "none was opened"
    lines = [
        f"client {found.client}, round {found.round}: {found.part}",
        f"group: {group}",
        f"verdict: {found.standing}{_score(found)}",
    ]
    lines += [
        f"pattern: {one.what}, with {one.clients} clients (log-odds {one.evidence:.1f},"
        f" effect {one.effect:.1f} honest spreads)"
        for one in found.patterns
    ]
    lines.append(f"evidence: its groups' sums of {_rounds(found.rounds)}")
    if found.accused_in:
        lines.append(f"accused after: {_rounds(found.accused_in)}")
    if found.flagged_in is not None:
        lines.append(f"flagged in: round {found.flagged_in}")
    if found.told is not None:
        lines.append(found.told)
    return "\n".join(lines)


def _score(found: Explained) -> str:
    parts = [] if found.score is None else [f"score {found.score:.2f}"]
    if found.strength is not None:
        needed = "" if found.required is None else f" of {found.required:.1f} needed"
        parts.append(f"strength {found.strength:.1f}{needed}")
    return f" ({', '.join(parts)})" if parts else ""


def _rounds(numbers: tuple[int, ...]) -> str:
    return f"rounds {', '.join(map(str, numbers))}" if numbers else "no round"
