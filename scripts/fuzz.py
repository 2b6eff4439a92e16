"""Fuzz one parser, or every one in turn, with atheris; what crashes is kept in the corpus.

python scripts/fuzz.py --seconds 60 [TARGET]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FUZZ = ROOT / "tests" / "fuzz"
sys.path.insert(0, str(FUZZ))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", help="one target (default: all)")
    parser.add_argument("--seconds", type=int, default=60, help="per target (default 60)")
    options, rest = parser.parse_known_args()
    if options.target is None:
        return _all(options.seconds)
    import atheris  # noqa: PLC0415 - an extra: only this command needs it

    with atheris.instrument_imports(include=["auror", "auror_client", "auror_server"]):
        from targets import TARGETS  # noqa: PLC0415 - instrumented
    if options.target not in TARGETS:
        parser.error(f"{options.target}: choose of {', '.join(TARGETS)}")
    found = FUZZ / "corpus" / options.target
    flags = [f"-max_total_time={options.seconds}", f"-artifact_prefix={found}/", "-max_len=4096"]
    scratch = ROOT / ".fuzz" / options.target  # new inputs stay out of the repository
    scratch.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], *flags, *rest, str(scratch), str(found)], TARGETS[options.target])
    atheris.Fuzz()
    return 0


def _all(seconds: int) -> int:
    from targets import TARGETS  # noqa: PLC0415

    failed = []
    for name in TARGETS:
        print(f"== {name}, {seconds} s", file=sys.stderr)
        command = [sys.executable, __file__, name, "--seconds", str(seconds)]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    print(f"crashed: {', '.join(failed) or 'none'}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
