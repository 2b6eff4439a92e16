"""What a result was computed with."""

from __future__ import annotations

import importlib.metadata

from auror.version import __version__

_PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "grpcio", "safetensors")


def versions() -> dict[str, str]:
    """Package → version; those that are not installed are left out."""
    found = {"auror": __version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
