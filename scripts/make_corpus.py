"""Write the seed corpus of tests/fuzz: real messages of a played round, real files.

python scripts/make_corpus.py
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "fuzz")]

import numpy as np  # noqa: E402
from rounds_kit import PARAMS, Deployment, play  # noqa: E402
from targets import KINDS  # noqa: E402

from auror.crypto.signing import SigningKey  # noqa: E402
from auror.defence.ledger import Ledger  # noqa: E402
from auror.defence.liability import Liability  # noqa: E402
from auror.deployment import credentials  # noqa: E402
from auror.deployment.policy_file import policy_json  # noqa: E402
from auror.errors import AbortReason, Refusal  # noqa: E402
from auror.ids import ClientId, Digest, RoundId  # noqa: E402
from auror.round.client.memory import ClientMemory  # noqa: E402
from auror.round.facts import encode  # noqa: E402
from auror.round.messages import (  # noqa: E402
    Exclusion,
    ExclusionCause,
    FinalModel,
    MaskedStatistics,
    NewPolicy,
    RoundEnd,
    Withdraw,
)
from auror.secagg.packing import pack  # noqa: E402
from auror.sim.seeded import seeded_entropy  # noqa: E402
from auror.wire import codec  # noqa: E402
from auror.wire.frames import client_frames, server_frames  # noqa: E402

CORPUS = ROOT / "tests" / "fuzz" / "corpus"


def keep(target: str, name: str, data: bytes) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def lying(client: object, message: object) -> object:
    if client == 2 and isinstance(message, MaskedStatistics):
        changed = bytes([message.payload[0] ^ 1]) + message.payload[1:]
        return MaskedStatistics(changed, message.signature)
    return message


def main() -> None:
    kit = Deployment(5, 1, PARAMS)
    played = play(kit, to_server=lying)
    played.replies.append((ClientId(0), Withdraw(Refusal.SECOND_ANSWER)))
    played.told.append(
        (ClientId(0), RoundEnd(Digest(bytes(32)), AbortReason.BINDING_FAILED, (ClientId(1),), ()))
    )
    zero, model = Digest(bytes(32)), np.linspace(-1, 1, 4, dtype=np.float32)
    played.told.append((ClientId(0), FinalModel(zero, 0, 2, zero, zero, model)))
    exclusion = Exclusion(ExclusionCause.FLAG, 4, 9, 12.5, 8.25, rounds=14, audits=3)
    played.told.append((ClientId(0), exclusion))
    later = kit.policy.successor(kit.operator)
    played.told.append((ClientId(0), NewPolicy(policy_json(later))))
    for from_client, said in ((True, played.replies), (False, played.told)):
        for client, message in said:
            if client != 0:
                continue
            kind = codec.kind_of(message)
            body = (codec.encode_client if from_client else codec.encode_server)(message)
            keep("message", kind.field, bytes([KINDS.index(kind)]) + body)
            cut = (client_frames if from_client else server_frames)(
                RoundId(7, bytes(16)), kind, body
            )
            joined = b"".join(len(frame).to_bytes(2, "little") + frame for frame in cut)
            if len(joined) < 1500:
                keep("frames", kind.field, joined)
    for bits in (1, 13, 21, 32):
        values = np.arange(40, dtype=np.uint32) % (1 << min(bits, 20))
        keep("packed", f"{bits}-bits", bytes([bits - 1, 40]) + pack(values, bits))
    remembered = ClientMemory().holding(kit.policy).joined(3)
    remembered = remembered.attempted(kit.start().description).signing("uploads", Digest(bytes(32)))
    keep("memory", "one-round", encode(remembered).encode())
    keep("memory", "torn", encode(remembered).encode()[:40])
    keep("record", "empty", b"{}")
    keep("record", "numbers", json.dumps({"index": 1, "era": 0, "groups": [[1, 2]]}).encode())
    keep("evidence", "ledger", json.dumps(Ledger([]).to_dict()).encode())
    marks = Liability()
    marks.add([(ClientId(1), ClientId(2))], [ClientId(1)])
    keep("evidence", "liability", json.dumps(marks.to_dict()).encode())
    signer = SigningKey.draw(seeded_entropy(1, "corpus"))
    keep("keys", "operator.pem", credentials.operator_pem(signer.verify_key))
    keep("keys", "zero", bytes(96))
    keep("policy", "policy.json", policy_json(kit.policy))
    keep("policy", "unsigned", policy_json(dataclasses.replace(kit.policy, signature=bytes(64))))
    keep("policy", "empty", b'{"deployment": "", "members": [], "signature": ""}')
    for name in ("server.toml", "client.toml"):
        keep("settings", name, (ROOT / "deploy" / name).read_bytes())
    keep("settings", "unknown", b"[round]\ngroup_sise = 5\n")
    keep("run_folder", "empty-json", b"{}")
    facts = {"client": 0, "era": 0, "step": 2, "sha256": "", "samples": {}}
    keep("run_folder", "released", json.dumps(facts).encode())
    keep("run_folder", "no-tensors", (2).to_bytes(8, "little") + b"{}")


if __name__ == "__main__":
    main()
