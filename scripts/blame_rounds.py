"""How many rounds until c liars of 30 are proven and out, and how much training goes on meanwhile.

The real campaign decides whom to invite, whom to leave out and who is proven; the masked round
itself is replaced by its outcome: a total that holds a lie fails its check, and marks what
``tests/unit/round/test_p7_localise.py`` shows that phase 7 marks. Writes
docs/results/blame.{json,md}.

    python scripts/blame_rounds.py --runs 20
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auror.crypto.entropy import Secret
from auror.crypto.signing import SigningKey
from auror.errors import AbortReason, RoundAborted
from auror.ids import ClientId, Digest
from auror.params import Budget, PlanCaps, RoundParams
from auror.round.arithmetic import check_round
from auror.round.description import model_digest
from auror.round.lists import AllDigests, AllKeys
from auror.round.messages import RoundStart
from auror.round.policy import NO_DIGEST, Policy
from auror.round.public import draw_groups
from auror.round.record import Mark, MarkKind, OpenedGroup
from auror.round.roster import RosterEntry
from auror.round.server.bookkeeping import Misconduct
from auror.round.server.context import RoundContext, RoundTotal
from auror.round.server.p0_advertise import Wired
from auror.round.server.p1b_receipts import Dealers
from auror.round.server.p2_upload import Uploads
from auror.round.server.p3b_draw import Draw
from auror.round.server.p4_statistics import Opening, openable
from auror.round.server.p5_agree import Decided, Deciding, check_proposal, decide_on
from auror.round.server.p6_unmask import TotalOpened
from auror.round.server.state import summarise
from auror.secagg.graph import Graph
from auror.sim.seeded import seeded_bytes, seeded_entropy
from auror.training.campaign import Campaign
from auror.training.config import AfterFlag, CampaignConfig
from auror.training.detectors import PlainVerdict
from auror.training.observations import PlanChoice

CLIENTS, GROUP, LONGEST, DIM = 30, 5, 300, 4
RESULTS = Path(__file__).parents[1] / "docs" / "results"

Strategy = Callable[[np.random.Generator], bool]
"""Whether one liar lies in one round."""

STRATEGIES: Mapping[str, Strategy] = {
    "every round": lambda rng: True,
    "every second round": lambda rng: bool(rng.random() < 0.5),
}


class Host:
    """No model to speak of: only marks matter here."""

    dim = DIM
    task = b"{}"
    output = None

    def initial(self, index: int) -> NDArray[np.float32]:
        return np.full(DIM, index, dtype=np.float32)

    def class_means(self, model: NDArray[np.float32]) -> None:
        return None

    def evaluate(self, model: NDArray[np.float32]) -> Mapping[str, float | None]:
        return {}


def hunt(liars: int, bound: int, lies: Strategy, seed: int) -> dict[str, object]:
    """One campaign until every liar is out."""
    rng = np.random.default_rng([31, liars, bound, seed])
    wicked = {ClientId(int(c)) for c in rng.choice(CLIENTS, size=liars, replace=False)}
    policy = _policy(seed, RoundParams(group_size=GROUP, colluders=bound, challenge_rows=0))
    config = CampaignConfig(
        rounds=LONGEST,
        plan=PlanChoice(confusion=False, sketch_rows=1),
        after_flag=AfterFlag.CONTINUE,
        detector=lambda _ledger, _invited: PlainVerdict(),
    )
    campaign = Campaign(config, Host(), policy, seeded_entropy(seed, "campaign"))
    trained = 0
    for rounds in range(1, LONGEST + 1):
        start = campaign.next_round()
        if start is None:
            break
        active = {client for client in sorted(wicked) if lies(rng)}
        trained += _play(campaign, start, policy, active, rng)
        found = campaign.state.conduct.excluded.keys()
        if not found <= wicked:
            raise AssertionError(f"an honest client was named: {sorted(found - wicked)}")
        if found == wicked:
            return {"rounds": rounds, "trained": trained, "out": liars}
    return {"rounds": None, "trained": trained, "out": len(campaign.state.conduct.excluded)}


def _play(
    campaign: Campaign, start: RoundStart, policy: Policy, active: set[ClientId],
    rng: np.random.Generator,
) -> bool:  # fmt: skip
    cohort = start.description.cohort
    topology = check_round(policy.params, len(cohort))
    context = RoundContext.open(start.description, policy, start.plan, topology, {}, lambda *_: b"")
    groups = draw_groups(rng.bytes(32), cohort, policy.params.group_size)
    nothing = np.zeros(start.plan.rows, dtype=np.uint64)
    opened = tuple(
        OpenedGroup(index, members, nothing)
        for index, members in openable(context, groups, set(cohort)).items()
    )
    deciding = Deciding(
        Wired(AllKeys({}, frozenset()), Graph.complete(cohort)),
        Dealers(cohort, {}),
        Uploads(dict.fromkeys(cohort, NO_DIGEST), NO_DIGEST, AllDigests({})),
        Draw(b"", groups, start.plan, NO_DIGEST),
        Opening(dict.fromkeys(cohort, b""), opened),
    )
    known = deciding.wired, deciding.dealers, deciding.uploads, deciding.draw, deciding.opening
    decided = Decided(*known, decide_on(deciding, campaign.decide(opened, start.plan)))
    try:
        check_proposal(context, decided.wired.graph, decided.decided)
    except RoundAborted as failure:
        campaign.finish(summarise(decided, Misconduct()), None, failure.reason)
        return False
    proposal = decided.decided
    marks = [
        Mark(MarkKind.GROUP, group.members)
        for group in proposal.of(opened)
        if set(group.members) & active
    ]
    opened_total = TotalOpened(*known, proposal, np.zeros(DIM, np.uint32))
    summary = summarise(opened_total, Misconduct(marks=marks))
    if marks:
        campaign.finish(summary, None, AbortReason.BINDING_FAILED)
        return False
    total = RoundTotal(np.full(DIM, 1 + int(rng.integers(1 << 20)), np.int64), proposal.accepted)
    campaign.finish(summary, total, None)
    return True


def _policy(seed: int, params: RoundParams) -> Policy:
    nothing = bytes(32)
    return Policy(
        deployment=bytes(16),
        version=1,
        expires=2**40,
        predecessors=(),
        members={
            ClientId(i): RosterEntry(ClientId(i), nothing, Digest(nothing)) for i in range(CLIENTS)
        },
        params=params,
        caps=PlanCaps(parts=("count-sketch",)),
        task=Host.task,
        first_models=(model_digest(Host().initial(0)),),
        budget=Budget(
            max_openings=LONGEST,
            max_totals=LONGEST,
            max_steps=LONGEST,
            max_disputed=LONGEST,
            max_watched=LONGEST,
        ),
    ).signed(SigningKey(Secret(seeded_bytes(seed, "operator", length=32))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs per row (default 20)")
    runs = parser.parse_args().runs
    rows = []
    for name, lies in STRATEGIES.items():
        for liars in range(1, 10):
            for bound in sorted({liars, 9}):
                started = time.monotonic()
                made = [hunt(liars, bound, lies, seed) for seed in range(runs)]
                rows.append(_summary(name, liars, bound, made))
                print(f"{rows[-1]}  {time.monotonic() - started:.1f} s", file=sys.stderr)
    RESULTS.joinpath("blame.json").write_text(json.dumps(rows, indent=1) + "\n")
    RESULTS.joinpath("blame.md").write_text(_table(rows, runs))


def _summary(name: str, liars: int, bound: int, made: list[dict[str, object]]) -> dict[str, object]:
    done = [int(str(run["rounds"])) for run in made if run["rounds"] is not None]
    spent = sum(LONGEST if run["rounds"] is None else int(str(run["rounds"])) for run in made)
    return {
        "liars lie": name,
        "liars": liars,
        "assumed": bound,
        "runs": len(made),
        "all out": len(done),
        "mean": round(statistics.mean(done), 1) if done else None,
        "longest": max(done, default=None),
        "trained": round(sum(int(str(run["trained"])) for run in made) / spent, 2),
    }


def _table(rows: list[dict[str, object]], runs: int) -> str:
    lines = [
        f"Rounds until all liars of {CLIENTS} are proven and out (g = {GROUP}, {runs} runs a row,",
        f"at most {LONGEST} rounds; no honest client was named in any). `assumed`: the c that the",
        "operator configured. `trained`: part of the rounds that changed the model meanwhile.",
        "",
        "| " + " | ".join(rows[0]) + " |",
        "|" + "---|" * len(rows[0]),
    ]
    lines += ["| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
