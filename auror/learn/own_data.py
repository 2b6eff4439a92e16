"""Samples of one's own as a data set: those of the server, or of everybody in a simulation.

One path is split by the seed, without overlap; or a folder holds the parts ``test``, ``clean`` and,
for simulations, ``train``, each in any form that ``read_samples`` takes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auror.errors import ConfigError
from auror.learn.datasets import Dataset, load_dataset
from auror.learn.readers.raw import refuse
from auror.learn.samples import Samples, SampleSpec, read_samples
from auror.learn.scale import parse_range, standardisation_of
from auror.learn.splitting import per_class, stratified
from auror.params import CLEAN_PER_CLASS, DATASET

Labels = NDArray[np.int64]

_TEST = 0.2
"""Of everybody's samples, for the test."""


_REPEATED = 0.01
"""Part of the samples from which equal ones in different parts are told."""


@dataclass(frozen=True, slots=True)
class DataSource:
    """Which samples: a data set by name, or a path to one's own.

    Attributes:
        dataset: a name; without effect where ``path`` is given. "": none was asked for, so the
            usual one is read where a task loads no samples itself.
        data_dir: folder of the named data set.
        path: npz file, CSV file, image folder, or a folder of parts.
        label_column: of a CSV file; "": the last one.
        range: in which range own samples are, as ``parse_range`` reads it.
        setting: what named ``path``, for messages.
    """

    dataset: str = ""
    data_dir: Path | None = None
    path: Path | None = None
    label_column: str = ""
    range: str = ""
    setting: str = "--data"


def load_data(
    source: DataSource,
    seed: int,
    clean_per_class: int,
    task: SampleSpec | None = None,
    dealt: bool = True,
) -> Dataset:
    """The samples of ``source``, split by ``seed``.

    Args:
        clean_per_class: of each class, for the server, to read label confusion with; 0: none.
        task: what the task's samples look like; None: ``source`` decides it.
        dealt: whether clients get a part; without, everything is for the server. Named data sets
            keep the clients' part aside always.

    Raises:
        UserError: samples that cannot be read, do not fit the task or are too few.
    """
    if source.path is None:
        name = source.dataset or DATASET
        return load_dataset(name, source.data_dir, seed, clean_per_class, task)
    return _Own(source, task, dealt, clean_per_class, seed).load(source.path)


@dataclass(frozen=True)
class _Own:
    source: DataSource
    task: SampleSpec | None
    dealt: bool
    clean_per_class: int
    seed: int

    def load(self, path: Path) -> Dataset:
        parts = _parts(path)
        if not parts:
            samples, spec = self._read(path, self.task)
            real = spec.classes is None
            chosen = self._shuffled(len(samples.y)) if real else self._split(samples)
            made = self._dataset(samples, spec, chosen)
            return replace(made, notes=(*made.notes, *self._repeated(samples, chosen)))
        if "test" not in parts:
            refuse(self._where, f"holds {', '.join(sorted(parts))} but no test part", _PARTS)
        test, spec = self._read(parts["test"], self.task)
        others = {
            name: self._read(parts[name], spec)[0] for name in ("clean", "train") if name in parts
        }
        samples, chosen = self._apart(test, others.get("clean"), others.get("train"))
        return self._dataset(samples, spec, chosen)

    @property
    def _where(self) -> str:
        return f"{self.source.setting} = {self.source.path}"

    def _read(self, path: Path, spec: SampleSpec | None) -> tuple[Samples, SampleSpec]:
        found = read_samples(
            path, spec, label_column=self.source.label_column, setting=self.source.setting
        )
        return found, found.spec() if spec is None else spec

    def _shuffled(self, count: int) -> dict[str, Labels]:
        """Indices of each part where targets are real numbers: no clean samples, there is no class
        that they could show."""
        order = np.random.default_rng(self.seed).permutation(count)
        test = max(1, round(_TEST * count)) if self.dealt else count
        nobody = np.empty(0, dtype=np.int64)
        return {"test": np.sort(order[:test]), "clean": nobody, "train": np.sort(order[test:])}

    def _split(self, samples: Samples) -> dict[str, Labels]:
        """Indices of each part: the test in proportion, then as many clean ones of each class."""
        y, names = samples.y.astype(np.int64), samples.names
        parts = 1 + self.dealt + (self.clean_per_class > 0)
        classes, sizes = np.unique(y, return_counts=True)
        if sizes.min() < parts:
            label = int(classes[sizes.argmin()])
            shown = label if names is None else repr(names[label])
            refuse(
                self._where,
                f"class {shown} has {sizes.min()} samples for {parts} parts (test"
                f"{', clean' * (self.clean_per_class > 0)}{', clients' * self.dealt})",
                "give every class some more, or choose no clean samples",
            )
        rng = np.random.default_rng(self.seed)
        rest = np.arange(len(y))
        test = rest
        if self.dealt:
            drawn, left = stratified(y, max(len(classes), round(_TEST * len(y))), rng)
            test, rest = drawn, left
        clean = np.empty(0, dtype=np.int64)
        if self.clean_per_class:
            self._check_clean(y[rest], names)
            drawn, left = per_class(y[rest], self.clean_per_class, rng)
            clean, rest = rest[drawn], rest[left]
        if self.dealt:
            return {"test": test, "clean": clean, "train": rest}
        return {"test": rest, "clean": clean, "train": np.empty(0, dtype=np.int64)}

    def _repeated(self, samples: Samples, parts: dict[str, Labels]) -> tuple[str, ...]:
        """A line where equal samples were drawn into different parts."""
        if not self.dealt:
            return ()
        in_parts: dict[bytes, set[str]] = {}
        drawn = [(part, _digest(samples.x[i])) for part, chosen in parts.items() for i in chosen]
        for part, digest in drawn:
            in_parts.setdefault(digest, set()).add(part)
        twice = sum(len(in_parts[digest]) > 1 for _, digest in drawn)
        if twice < _REPEATED * len(drawn):
            return ()
        found = ", ".join(part for part, chosen in parts.items() if len(chosen))
        said = f"{twice} of {len(drawn)} samples are equal to one in another part ({found})"
        fix = "leave one of each in the file, or the test measures what was trained"
        return (f"{self._where}: {said}: {fix}",)

    def _check_clean(self, y: Labels, names: tuple[str, ...] | None) -> None:
        """Raises ConfigError where a class of ``y`` would have nothing left."""
        classes, sizes = np.unique(y, return_counts=True)
        if sizes.min() <= self.clean_per_class:
            label, most = int(classes[sizes.argmin()]), int(sizes.min()) - 1
            shown = label if names is None else repr(names[label])
            raise ConfigError(
                f"{self._where}: clean_per_class = {self.clean_per_class}, and class {shown} has"
                f" {sizes.min()} samples{' beside the test' if self.dealt else ''}, of which one at"
                f" least is for {'clients' if self.dealt else 'the test'}: choose 0 … {most}, or"
                " give that class more"
            )

    def _apart(
        self, test: Samples, clean: Samples | None, train: Samples | None
    ) -> tuple[Samples, dict[str, Labels]]:
        """Parts that come apart, put together with the indices of each."""
        if clean is None and self.clean_per_class:
            refuse(self._where, "holds no clean part", f"{_PARTS}, or choose 0 clean samples")
        if clean is not None and not self.clean_per_class:
            clean = None
        if clean is not None and self.clean_per_class != CLEAN_PER_CLASS:
            raise ConfigError(
                f"{self._where}: clean_per_class = {self.clean_per_class} has no effect on a clean"
                " part, all of it is taken: leave it out, or choose 0"
            )
        if self.dealt and train is None:
            refuse(self._where, "holds no train part to deal to the clients", _PARTS)
        if not self.dealt:
            train = None
        found = {
            name: part
            for name, part in (("test", test), ("clean", clean), ("train", train))
            if part is not None
        }
        for one, other in (("clean", "test"), ("train", "test"), ("train", "clean")):
            if one in found and other in found:
                self._disjoint(one, found[one], other, found[other])
        indices, start = {}, 0
        for name in ("test", "clean", "train"):
            size = len(found[name].y) if name in found else 0
            indices[name] = np.arange(start, start + size)
            start += size
        whole = replace(
            test,
            x=np.concatenate([part.x for part in found.values()]),
            y=np.concatenate([part.y for part in found.values()]),
            whole=all(part.whole for part in found.values()),
        )
        return whole, indices

    def _disjoint(self, one: str, first: Samples, other: str, second: Samples) -> None:
        seen = {sample.astype(np.float64).tobytes() for sample in second.x}
        twice = sum(sample.astype(np.float64).tobytes() in seen for sample in first.x)
        if twice:
            refuse(
                self._where,
                f"{twice} of {len(first.x)} samples of {one} are in {other} too",
                "leave each in one part",
            )

    def _dataset(self, samples: Samples, spec: SampleSpec, parts: dict[str, Labels]) -> Dataset:
        y = cast("Labels", samples.y)  # or real numbers, of tasks without classes
        servers = np.concatenate([parts["test"], parts["clean"]])
        if self.task is None:  # of the server's samples alone: nobody knows everybody's
            by = standardisation_of(samples.x[servers], samples.whole)
            spec = replace(spec, standardisation=by)
        stated = parse_range(f"{self.source.setting} range", self.source.range)
        x, notes, warnings = spec.inputs(samples, stated)
        missing = np.setdiff1d(np.arange(spec.classes or 0), y[parts["clean"]])
        if self.clean_per_class and len(missing):
            refuse(
                self._where,
                f"no clean sample of class {missing[0]}, and of {len(missing)} classes in all",
                "give the server some of each, or choose 0 clean samples",
            )
        train, test, clean = parts["train"], parts["test"], parts["clean"]
        return Dataset(
            name="own",
            spec=spec,
            train_x=x[train],
            train_y=y[train],
            test_x=x[test],
            test_y=y[test],
            clean_x=x[clean],
            clean_y=y[clean],
            notes=(*notes, *warnings),
        )


_PARTS = "a folder of parts holds test and clean, for simulations train too (NAME, NAME.npz, .csv)"


def _parts(path: Path) -> dict[str, Path]:
    """Part → where it is, of a folder that holds parts; empty for everything else."""
    try:
        entries = [] if not path.is_dir() else sorted(path.iterdir())
    except OSError:
        return {}  # said by who reads it
    found: dict[str, Path] = {}
    for entry in entries:
        if entry.name.startswith("."):
            continue
        name = entry.name if entry.is_dir() else entry.stem
        if name not in ("test", "clean", "train"):
            return {}
        if name in found:
            refuse(f"{path}", f"holds two parts {name}: {entry.name}", "leave one of them")
        found[name] = entry
    return found


def _digest(sample: NDArray[np.generic]) -> bytes:
    return hashlib.blake2b(sample.tobytes(), digest_size=16).digest()
