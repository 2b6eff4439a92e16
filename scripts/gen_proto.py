"""Regenerates auror/wire/v1 from proto/: ``python scripts/gen_proto.py [OUT]``.

No gRPC stubs are generated: auror/wire/service.py names the methods by hand, so that the
installed grpcio need not be as new as the generator's.
"""

from __future__ import annotations

import sys
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "proto"


def generate(out: Path) -> None:
    """Write ``auror/wire/v1/*_pb2.py`` and ``.pyi`` below ``out``."""
    protos = sorted(str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.proto"))
    status = protoc.main(
        ["protoc", f"-I{SOURCES}", f"--python_out={out}", f"--pyi_out={out}", *protos]
    )
    if status:
        raise SystemExit(status)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
