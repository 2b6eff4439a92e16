"""Write tests/vectors/*.json from the code as it is: a change in them is a change of the protocol.

python scripts/make_vectors.py

operations.json is written by hand; versions.json, which names all the others' hashes, comes last.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "tests" / "vectors"
sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]

from making import FILES  # noqa: E402

for name, make in FILES.items():
    (FOLDER / name).write_text(json.dumps(make(), indent=1) + "\n")
    print(FOLDER / name, file=sys.stderr)
