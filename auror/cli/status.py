"""``auror status``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auror.cli.shared import EPILOG, FORMAT, one_line_errors

if TYPE_CHECKING:
    from auror.report.status import RunStatus

_SHOWN = 12
"""Clients of a list that a line of text names."""
_CLEAR = "\033[2J\033[H"


@click.command("status", epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path), default=Path("runs/server"))
@click.option("--watch", is_flag=True,
              help="Look again and again, until the training is finished or Ctrl-C.")  # fmt: skip
@click.option("--interval", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True,
              help="Seconds between two looks of --watch.")  # fmt: skip
@FORMAT
@one_line_errors
def command(run: Path, watch: bool, interval: float, form: str) -> None:
    """Say where a server's run stands: phase, deadline, who is waited for, rounds, accuracy, flags.

    RUN is the run folder of an auror-server, on the same machine and by the same user.
    [default: runs/server] When no server runs there, what its database holds is shown and said to
    be that. With --watch, json is one object a line.
    """
    from auror.report.status import run_status  # noqa: PLC0415 - keeps --help quick

    while True:
        found = run_status(run)
        text = json.dumps(found.to_dict(), allow_nan=False) if form == "json" else as_text(found)
        clear = _CLEAR if watch and form == "text" and sys.stdout.isatty() else ""
        click.echo(clear + text)
        sys.stdout.flush()
        if not watch or (found.finished and found.server == "not running"):
            return
        time.sleep(interval)


def as_text(found: RunStatus) -> str:
    """A few lines for people."""
    lines = [("server", _server(found))]
    if found.live is not None:
        lines += _live(found, found.live)
    if found.written is not None:
        lines += [
            ("deployment", _deployment(found)),
            ("rounds", _rounds(found)),
            ("last round", _last(found)),
            ("metrics", _metrics(found)),
            ("flagged", _clients(found.flagged)),
            ("suspected", _clients(found.suspected)),
        ]
        if found.paused:
            lines.append(("on hold", f"no round begins before `auror resume {found.folder}`"))
        if found.by_hand:
            lines.append(("left out", f"{_clients(found.by_hand)}, by `auror exclude`"))
        lines += _conduct(found)
        if found.audit_head is not None:
            lines.append(("audit head", found.audit_head))
    return "\n".join(f"{name + ':':<13}{text}" for name, text in lines)


def _server(found: RunStatus) -> str:
    where = f"{found.server} on {found.folder}"
    if found.server == "running":
        return where
    if found.written is None:
        return f"{where}; nothing is written yet"
    how = ", finished" if found.finished else ", start it again to go on"
    ended = how if found.server == "not running" else ""
    return f"{where}{ended}; what follows was written at {found.written}"


def _live(found: RunStatus, live: Mapping[str, Any]) -> list[tuple[str, str]]:
    doing = live["activity"]
    if live["phase"] is not None:
        number = 1 if found.last is None else found.last.round + 1
        doing = f"round {number} of the run, phase {live['phase']}, {live['phase_s']:.0f} s"
    if live["stopping"]:
        doing += "; stopping"
    lines = [("now", doing)]
    if live["deadline_s"] is not None:
        enough = ", enough have answered" if live["enough"] else ""
        lines.append(("deadline", f"in {max(0.0, live['deadline_s']):.0f} s{enough}"))
    lines.append(("waiting for", _clients(live["waiting_for"])))
    lines.append(("connected", _clients(live["connected"])))
    return lines


def _deployment(found: RunStatus) -> str:
    return f"{found.deployment}, policy version {found.policy_version}, {found.members} clients"


def _rounds(found: RunStatus) -> str:
    text = f"{found.rounds_done} of {found.rounds_planned} with a total"
    if found.rounds_failed:
        text += f", {found.rounds_failed} without"
    if found.restarted:
        text += " (training anew after a flag)"
    if found.broken_off:
        text += f"; {len(found.broken_off)} ended with the server"
    return text


def _last(found: RunStatus) -> str:
    last = found.last
    if last is None:
        return "none yet"
    how = f"{last.accepted} clients in the total" if last.aborted is None else last.aborted
    return f"round {last.round} of the run: {how}, {last.seconds:.1f} s"


def _metrics(found: RunStatus) -> str:
    known = {k: v for k, v in (found.metrics or {}).items() if v is not None}
    if not known:
        return "none measured"
    values = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in known.items())
    return f"{values} (after round {found.metrics_round})"


def _conduct(found: RunStatus) -> list[tuple[str, str]]:
    conduct = found.conduct
    if conduct is None:
        return []
    lines = []
    if found.excluded:
        lines.append(("excluded", f"{_clients(found.excluded)} (proven lies, or masks kept back)"))
    if conduct.paused:
        until = (f"{client} until round {until}" for client, until in conduct.paused.items())
        lines.append(("paused", f"for silence: client {_list(until)}"))
    if conduct.withdrawn:
        said = (f"{c} {w['reason']} (round {w['round']})" for c, w in conduct.withdrawn.items())
        lines.append(("withdrawn", f"client {_list(said)}"))
    for reason, clients in conduct.dropped.items():
        often = (f"{client} ×{times}" for client, times in clients.items())
        lines.append(("dropped", f"{reason}, in the last 20 rounds: client {_list(often)}"))
    if conduct.refused:
        counted = (f"{why} ×{times}" for why, times in conduct.refused.items())
        lines.append(("refused", _list(counted)))
    return lines


def _clients(found: Iterable[int]) -> str:
    listed = [str(client) for client in found]
    return f"client{'s' * (len(listed) > 1)} {_list(listed)}" if listed else "nobody"


def _list(words: Iterable[str]) -> str:
    listed = list(words)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
