"""A whole experiment: several trainings on the same data and seeds, its result and its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auror.errors import ConfigError, DataError
from auror.experiments.config import ExperimentConfig
from auror.experiments.experiment import run_experiment
from auror.experiments.options import experiment_config
from auror.experiments.progress import Progress, Reporter
from auror.experiments.result import ExperimentResult
from auror.experiments.runfolder import summary_of, write_run
from auror.files import claim_folder
from auror.learn.fingerprint import fingerprint
from auror.report.run_page import write_report


def _silent(progress: Progress) -> None:
    """Nobody watches."""


class Experiment:
    """Clean, undefended, oracle and defended training, as ``auror simulate`` runs them.

    The dials are that command's options, with underscores (docs/library.md). ``task``, ``attack``,
    ``rule`` and ``detector`` may be objects or classes of one's own instead of their names; the run
    folder names them, so they stand at the top level of a module.
    """

    def __init__(self, config: ExperimentConfig | None = None, **dials: Any) -> None:
        """``config``: a whole configuration in place of ``dials``.

        Raises:
            ConfigError: an unknown dial, a value that cannot be used, an object without a name
                that could be found again, or both given.
        """
        if config is not None and dials:
            raise ConfigError("give a configuration or dials, not both")
        self.config: ExperimentConfig = config or experiment_config(dials)
        self.config.check_lasting()
        self._result: ExperimentResult | None = None

    @property
    def result(self) -> ExperimentResult:
        """What was found. Raises ConfigError before :meth:`run`."""
        if self._result is None:
            raise ConfigError("this experiment has not run: call run() first")
        return self._result

    def run(self, progress: Reporter = _silent) -> ExperimentResult:
        """Run it in this process; ``progress`` is called after every round.

        Raises:
            UserError: a setting or the data cannot be used.
        """
        self._result = run_experiment(self.config, progress)
        return self._result

    def summary(self) -> dict[str, Any]:
        """What came out in JSON values, as ``auror simulate --format json`` prints it."""
        return self.result.summary()

    def save(self, folder: str | Path) -> Path:
        """Write the run folder with model and ``report.html``; returns it.

        Raises:
            ConfigError: nothing has run, or ``folder`` holds something or cannot be written.
        """
        result, place = self.result, Path(folder)
        claim_folder(place, "folder")
        save_run(place, result)
        return place


def save_run(folder: Path, result: ExperimentResult) -> None:
    """Write the run folder with its report. Raises DataError when it cannot be written."""
    if result.data is None:
        raise DataError(f"{folder}: this result was read from a run folder; copy that one")
    manifest = write_run(folder, result, result.task, fingerprint(result.data))
    write_report(folder, result, summary_of(result, folder), manifest)


def simulate(**dials: Any) -> ExperimentResult:
    """Run one experiment: ``simulate(dataset="digits", clients=12, malicious=3, rounds=10)``.

    The dials are the options of ``auror simulate``, with ``task``, ``attack``, ``rule`` and
    ``detector`` by name or as objects, also such as have no name (a lambda). :class:`Experiment`
    keeps the result too, and saves it.

    Raises:
        UserError: a dial or the data cannot be used.
    """
    return run_experiment(experiment_config(dials), _silent)
