"""The ``auror`` command: it builds configurations and turns errors into one line.

A command of its own file under ``auror/cli`` is added at the end of this one.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's C core would write to stderr itself

import click

from auror import __version__
from auror.cli.shared import EPILOG, FORMAT, Program, one_line_errors


@click.group(cls=Program, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="auror")
def main() -> None:
    """Federated training that is private and robust at once, and shows the price of each."""


def _experiment_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options that ``simulate`` and ``demo`` share."""
    options = [
        click.option("--dataset", default="mnist5k", show_default=True,
                     help="digits, mnist5k (both offline) or mnist."),
        click.option("--data-dir", type=click.Path(path_type=Path), default=None,
                     help="Folder of mnist; downloaded there when absent."),
        click.option("--clients", default=30, show_default=True, help="n, clients enrolled."),
        click.option("--malicious", default=9, show_default=True,
                     help="How many of them, drawn from the seed, poison their labels."),
        click.option("--attack", default="flip:4:9", show_default=True,
                     help="none, flip:SOURCE:TARGET[:FRACTION], or another of docs/attacks.md."),
        click.option("--partition", default="iid", show_default=True,
                     help="iid, or for label skew dirichlet:ALPHA or shards:K."),
        click.option("--clean-samples", default=100, show_default=True,
                     help="Labelled samples of the server's own; 0 = none, its model serves."),
        click.option("--model", type=click.Choice(["mlp", "cnn"]), default="mlp",
                     show_default=True, help="What is trained."),
        click.option("--group-size", default=5, show_default=True,
                     help="g, clients per group: 1 = statistics in the clear, n = no detection."),
        click.option("--rounds", default=30, show_default=True,
                     help="Rounds of one training; a restart trains as many again."),
        click.option("--seed", default=1, show_default=True, help="Decides everything random."),
        click.option("--colluders", type=int, default=None,
                     help="c, clients assumed to collude.  [default: 30 % of the clients]"),
        click.option("--after-flag", type=click.Choice(["restart", "continue"]),
                     default="restart", show_default=True,
                     help="What a flag does to the training."),
        click.option("--epochs", type=int, default=None, help="Local epochs per round."),
        click.option("--batch-size", type=int, default=None, help="Samples per local step."),
        click.option("--learning-rate", type=float, default=None, help="Of local SGD."),
        click.option("--quantisation-range", default=0.5, show_default=True,
                     help="Updates are clipped to ± this."),
        click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda:N."),
        click.option("--out", type=click.Path(path_type=Path), default=None,
                     help="Run folder to write: configuration, rounds, verdict, model, report."),
        click.option("--verbose", is_flag=True, help="Also print where the time went."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@main.command(epilog=EPILOG)
@_experiment_options
@click.option("--aggregation", type=click.Choice(["secure", "plain"]), default="secure",
              show_default=True, help="plain computes the same sums without masks.")  # fmt: skip
@click.option("--mode", type=click.Choice(["decoded", "paper"]), default="decoded",
              show_default=True, help="paper: AUROR as published (--group-size 1).")  # fmt: skip
@click.option("--alpha", type=float, default=None,
              help="Paper mode: centre distance of an indicative feature.  "
              "[default: calibrated on an honest run]")  # fmt: skip
@click.option("--tau", default=0.5, show_default=True,
              help="Paper mode: part of the evidence that flags.")  # fmt: skip
@click.option("--runs", default="clean,undefended,oracle,defended", show_default=True,
              help="Which runs to make.")  # fmt: skip
@click.option("--dropout-before", default=0.0, show_default=True,
              help="Fraction of clients that vanish before the upload, every round.")  # fmt: skip
@click.option("--dropout-after", default=0.0, show_default=True,
              help="Fraction that vanishes after it.")  # fmt: skip
@FORMAT
@one_line_errors
def simulate(form: str, out: Path | None, verbose: bool, **options: Any) -> None:
    """Train with attackers and defence in one process, without network."""
    from auror.cli.output import simulated  # noqa: PLC0415 - keeps --help quick

    simulated(_config(options), form, out, verbose)


@main.command(epilog=EPILOG)
@_experiment_options
@click.option("--fast", is_flag=True, help="Fewer rounds: a look in under a minute.")
@FORMAT
@one_line_errors
def demo(form: str, out: Path | None, verbose: bool, fast: bool, **options: Any) -> None:
    """Four runs; the defended one with server and clients as processes over gRPC and mTLS."""
    from auror.cli.output import demonstrated  # noqa: PLC0415

    if fast:
        options["rounds"] = min(options["rounds"], 12)
    demonstrated(_config(options), form, out, verbose)


@main.command(epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path))
@FORMAT
@one_line_errors
def evaluate(run: Path, form: str) -> None:
    """Load the run folder RUN, measure its model again and print the metrics."""
    from auror.cli.output import evaluated  # noqa: PLC0415

    evaluated(run, form)


@main.command(epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path))
@FORMAT
@one_line_errors
def replay(run: Path, form: str) -> None:
    """Repeat the gRPC run RUN from its recorded randomness and compare the models bit for bit."""
    from auror.cli.output import replayed  # noqa: PLC0415

    if not replayed(run, form):
        sys.exit(1)


@main.command(epilog=EPILOG)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--clients", default=30, show_default=True, help="Clients to enrol, 2 to 10,000.")
@click.option("--server", "hosts", multiple=True, required=True, metavar="HOST",
              help="Name or address under which clients reach the server; may repeat.")  # fmt: skip
@click.option("--group-size", type=int, default=None,
              help="g, clients per group.  [default: 5, or half of the clients]")  # fmt: skip
@click.option("--colluders", type=int, default=None,
              help="c, clients assumed to collude.  [default: g - 2]")  # fmt: skip
@click.option("--dataset", default="mnist5k", show_default=True,
              help="digits, mnist5k or mnist: decides shape and scale of the samples.")  # fmt: skip
@click.option("--data-dir", type=click.Path(path_type=Path), default=None,
              help="Folder of mnist; downloaded there when absent.")  # fmt: skip
@click.option("--model", type=click.Choice(["mlp", "cnn"]), default="mlp", show_default=True,
              help="What is trained.")  # fmt: skip
@click.option("--rounds", default=100, show_default=True,
              help="Most rounds of one training: the budget of everybody's data.")  # fmt: skip
@click.option("--eras", default=2, show_default=True,
              help="Trainings from a fresh model; a restart after a flag is one.")  # fmt: skip
@click.option("--days", default=365, show_default=True, help="Until the policy expires.")
@click.option("--parts", default=None,
              help="Statistics a server may ask for, e.g. label-rows,output-layer.  "
              "[default: label-rows]")  # fmt: skip
@click.option("--seed", default=1, show_default=True, help="Of the first models.")
@one_line_errors
def certs(folder: Path, hosts: tuple[str, ...], parts: str | None, **options: Any) -> None:
    """Enrol everybody: certificates, identities and the signed policy, in the new folder DIR."""
    from auror.deployment.certs import create_deployment  # noqa: PLC0415
    from auror.programs.enrol import Enrolment, terms_of  # noqa: PLC0415

    asked = None if parts is None else tuple(sorted(filter(None, parts.split(","))))
    wanted = Enrolment(parts=asked, **options)
    made = create_deployment(folder, wanted.clients, hosts, terms_of(wanted))
    g, c = made.params.group_size, made.params.colluders
    click.echo(
        f"{folder}: deployment {made.name}, {wanted.clients} clients in groups of {g}, {c} may"
        " collude; copy server/ to the server and clients/NNN/ to client NNN"
    )
    click.echo(f"{folder}/operator: keep it offline, neither server nor clients may hold it")
    if c > g - 2:
        click.echo(
            f"note: with c = {c} > g - 2 = {g - 2} a client may meet colluders only; `auror plan"
            f" --clients {wanted.clients} --group-size {g} --colluders {c}` says how often"
        )


@main.command(epilog=EPILOG)
@click.option("--clients", default=200, show_default=True, help="n, simulated clients.")
@click.option("--dim", default=10_000, show_default=True, help="d, entries of an update.")
@click.option("--dropout", default=0.1, show_default=True,
              help="Chance per client and round to vanish, before or after upload.")  # fmt: skip
@click.option("--rounds", default=3, show_default=True, help="Rounds to run.")
@click.option("--group-size", default=5, show_default=True, help="g, clients per group.")
@click.option("--colluders", default=0, show_default=True, help="c, clients assumed to collude.")
@click.option("--quantisation-bits", default=16, show_default=True, help="b, bits of an entry.")
@click.option("--workers", default=2, show_default=True, help="Processes that hold the clients.")
@FORMAT
@one_line_errors
def loadtest(form: str, **options: Any) -> None:
    """Many synthetic clients against the real server; checks that every total is exact."""
    from auror.programs.loadtest import LoadTest, as_text, run_loadtest  # noqa: PLC0415

    report = run_loadtest(LoadTest(**options), lambda line: click.echo(line, err=True))
    click.echo(json.dumps(report.to_dict()) if form == "json" else as_text(report))
    if not report.exact:
        sys.exit(1)


def _config(options: dict[str, Any]) -> Any:
    """An ExperimentConfig from the options of ``simulate`` or ``demo``."""
    from auror.experiments.options import experiment_config  # noqa: PLC0415

    return experiment_config(options)


from auror.cli.defend_bench import defend_bench  # noqa: E402
from auror.cli.plan import plan  # noqa: E402 - the group must exist first
from auror.cli.policy import policy  # noqa: E402
from auror.cli.protocol import protocol  # noqa: E402
from auror.cli.sweep import report, sweep  # noqa: E402

for command in (plan, policy, protocol, sweep, report, defend_bench):
    main.add_command(command)
