"""Build wheel and sdist, install the wheel where nothing of this checkout is seen, and use it.

The environment is new and holds Auror only; what Auror needs comes from the one that runs this.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOT_RELEASED = (".ci/", ".gitignore")
USE = (
    ("auror", "--version"),
    ("auror", "demo", "--fast", "--out", "demo"),
    ("auror", "certs", "certs", "--clients", "6", "--server", "localhost", "--group-size", "3"),
    ("auror-server", "--check", "--credentials", "certs/server"),
    ("auror-client", "--check", "--credentials", "certs/clients/000"),
)


def run(*words: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    print("+", *words, flush=True)
    done = subprocess.run(
        [*map(str, words)], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}it ended with {done.returncode}")
    return done.stdout


def build(source: Path, kind: str, out: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", out, cwd=source)
    (made,) = out.glob("auror-*.whl" if kind == "wheel" else "auror-*.tar.gz")
    return made


def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def check_sdist(sdist: Path, wheel: Path, folder: Path) -> None:
    """It holds what git holds, and the same wheel can be built from it."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    kept = run("git", "ls-files", cwd=ROOT).splitlines()
    wanted = [name for name in kept if not name.startswith(NOT_RELEASED)]
    missing = [name for name in wanted if not (source / name).exists()]
    if missing:
        sys.exit(f"{sdist.name} lacks {len(missing)} files, such as {missing[:5]}")
    again = build(source, "wheel", folder / "again")
    if names(again) != names(wheel):
        sys.exit(f"{sdist.name} makes another wheel: {names(again) ^ names(wheel)}")


def installed(wheel: Path, folder: Path) -> Path:
    """The folder of programs of a new environment with ``wheel``."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps")
    run(*pip, wheel, cwd=folder)
    # one line of a .pth: the .pth files there, that of an editable Auror too, are not read
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python.parent


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="auror-release-") as name:
        folder = Path(name)
        wheel = build(ROOT, "wheel", folder / "wheel")
        check_sdist(build(ROOT, "sdist", folder / "sdist"), wheel, folder / "source")
        programs = installed(wheel, folder / "environment")
        empty = folder / "empty"
        empty.mkdir()
        bare = {"PATH": f"{programs}{os.pathsep}{os.defpath}", "OMP_NUM_THREADS": "1"}
        where = run(programs / "python", "-c", "import auror; print(auror.__file__)",
                    cwd=empty, env=bare)  # fmt: skip
        if not where.startswith(str(folder)):
            sys.exit(f"this is another Auror: {where}")
        for words in USE:
            print(run(programs / words[0], *words[1:], cwd=empty, env=bare), end="")
        print(f"release-check: {wheel.name} works, its sdist makes the same")


if __name__ == "__main__":
    main()
