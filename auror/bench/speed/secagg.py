"""Section ``secagg``: one masked sum, step by step, with no network.

The cast is real: every client deals shares and masks its input, envelopes are opened, and each
total that the server opens must equal the plain sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from auror.bench.speed.cast import SumCast, make_cast, some_update
from auror.bench.speed.clock import cheapest
from auror.bench.speed.floors import FloorWork, MachineFloors
from auror.bench.speed.rows import SpeedRow, SumSize, speed_row
from auror.crypto.entropy import Secret, system_entropy
from auror.crypto.kex import KeyPair
from auror.experiments.progress import Progress, Reporter
from auror.ids import ClientId
from auror.params import WORKERS
from auror.round.messages import SHARED_KINDS
from auror.round.public import upload_digest
from auror.secagg.client.advertise import MaskSecrets
from auror.secagg.client.masked_input import mask_input
from auror.secagg.client.unmask import OpenedShares, OpeningGuard
from auror.secagg.graph import Graph
from auror.secagg.instance import SecretKind, UInt
from auror.secagg.server.collect_shares import ShareCollector
from auror.secagg.server.spread import Spread, in_shares
from auror.secagg.server.unmask import sum_masked, unmask_sum
from auror.secagg.sharing import deal, receive

Secrets = dict[ClientId, Secret]
_WORD = 4


def sizes(reduced: bool) -> dict[SumSize, tuple[float, ...]]:
    """Which sizes, and the dropouts of each.

    Degrees 20 and 26 are those that others publish; the last size is wired as ``auror loadtest``
    wires it.
    """
    if reduced:
        return {SumSize(30, 10_000, 29, 16): (0.1,)}
    return {
        SumSize(100, 100_000, 20, 11): (0.0, 0.1, 0.3),
        SumSize(100, 1_000_000, 20, 11): (0.1,),
        SumSize(500, 100_000, 26, 14): (0.1,),
        SumSize.wired(1000, 100_000): (0.1,),
    }


def run(
    wanted: Mapping[SumSize, tuple[float, ...]], floors: MachineFloors, report: Reporter
) -> list[SpeedRow]:
    """Every row of every size."""
    rows: list[SpeedRow] = []
    for at, (size, dropouts) in enumerate(wanted.items()):
        report(Progress(stage="secagg", round=at + 1, rounds=len(wanted), note=size.name))
        cast = make_cast(size)
        rows += _client_rows(cast, floors)
        for dropout in dropouts:
            with ThreadPoolExecutor(WORKERS) as pool:
                rows += _server_rows(cast, dropout, floors, pool.map)
    return rows


# The server -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MeasuredServer:
    """What it knows when shares of the secrets come in."""

    cast: SumCast
    summed: tuple[ClientId, ...]
    absent: tuple[ClientId, ...]
    answers: dict[ClientId, OpenedShares]
    mask_keys: dict[ClientId, bytes]
    spread: Spread

    def take_uploads(self) -> None:
        """SumSize, bits after the last element, and digest of every masked input."""
        for _ in self.spread(self._take, in_shares(self.summed)):
            pass

    def _take(self, clients: Iterable[ClientId]) -> None:
        cast = self.cast
        for client in clients:
            payload = cast.payloads[client]
            cast.context.ring.check(payload, cast.context.length)
            if upload_digest(cast.transcript, client, payload) != cast.digests[client]:
                raise AssertionError(f"upload of client {client}")

    def collector(self) -> ShareCollector:
        """Before any share has come."""
        cast = self.cast
        collector = ShareCollector(cast.transcript, cast.size.threshold, SHARED_KINDS)
        for client, dealing in cast.dealings.items():
            collector.expect(client, dealing.share_commitments, dealing.secret_commitments)
        return collector

    def take_shares(self) -> ShareCollector:
        """Every share against its commitment."""
        collector = self.collector()
        for holder, answer in self.answers.items():
            collector.add(holder, SecretKind.SELF_SEED, answer.self_seeds)
            collector.add(holder, SecretKind.MASK_KEY, answer.mask_keys)
        return collector

    def restore(self, collector: ShareCollector) -> tuple[Secrets, Secrets]:
        """Self-mask seeds of the summed, mask keys of the absent."""
        wanted = dict.fromkeys(self.summed, SecretKind.SELF_SEED)
        wanted |= dict.fromkeys(self.absent, SecretKind.MASK_KEY)
        restored = collector.restore(wanted, self.cast.graph.ring)
        return (
            {client: restored[client] for client in self.summed},
            {client: restored[client] for client in self.absent},
        )

    def add(self) -> UInt:
        """The sum of the masked inputs."""
        return sum_masked(self.cast.context, self.cast.payloads, self.summed, self.spread)

    def unmask(self, collector: ShareCollector, masked: UInt) -> UInt:
        """The sum of the inputs from that of the masked ones."""
        seeds, keys = self.restore(collector)
        cast = self.cast
        return unmask_sum(
            cast.context, cast.graph, masked, seeds, keys, self.mask_keys, self.spread
        )

    def all(self) -> UInt:
        """From the uploads and answers to the total."""
        self.take_uploads()
        return self.unmask(self.take_shares(), self.add())

    def work(self) -> FloorWork:
        """What none of its steps can do without."""
        return unmasking_work(self.cast.graph, self.summed, self.absent, self.cast.size.d)


def _server_rows(
    cast: SumCast, dropout: float, floors: MachineFloors, spread: Spread
) -> list[SpeedRow]:
    absent = cast.dropped(dropout)
    summed = tuple(client for client in cast.cohort if client not in set(absent))
    both = frozenset(summed), frozenset(absent)
    answers = {c: OpeningGuard(cast.held[c]).open(*both) for c in summed}
    server = MeasuredServer(cast, summed, absent, answers, cast.mask_keys, spread)
    collector, work, masked = server.take_shares(), server.work(), server.add()
    received = sum(len(cast.payloads[client]) for client in summed)
    opened = sum(
        len(share.to_bytes())
        for answer in answers.values()
        for share in (*answer.self_seeds.values(), *answer.mask_keys.values())
    )
    whole = cheapest(server.all)
    if not np.array_equal(whole.made, cast.plain_sum(summed)):
        raise AssertionError("the opened total is not the plain sum")
    steps = (
        ("server: take uploads", cheapest(server.take_uploads), received),
        ("server: take shares", cheapest(server.take_shares), opened),
        ("server: restore secrets", cheapest(lambda: server.restore(collector)), 0),
        ("server: add masked inputs", cheapest(server.add), received),
        ("server: unmask", cheapest(lambda: server.unmask(collector, masked)), 0),
        ("server: all", whole, received + opened),
    )
    return [speed_row(name, cast.size, dropout, spent, b, work, floors) for name, spent, b in steps]


def unmasking_work(
    graph: Graph, summed: Iterable[ClientId], absent: Iterable[ClientId], dim: int
) -> FloorWork:
    """A self mask of everybody summed; a key and a mask per neighbour of an absent one."""
    present = frozenset(summed)
    pairs = sum(len(graph.among(client, present)) for client in absent)
    return FloorWork(stream_bytes=(len(present) + pairs) * dim * _WORD, agreements=pairs)


# One client -------------------------------------------------------------------------------------


def _client_rows(cast: SumCast, floors: MachineFloors) -> list[SpeedRow]:
    size, context, me = cast.size, cast.context, cast.cohort[0]
    peers, public = cast.graph.neighbours[me], cast.mask_keys
    peer_keys = {peer: public[peer] for peer in peers}
    envelope_keys = {client: pair.public for client, pair in cast.envelopes.items()}
    holders = cast.graph.holders(me, frozenset(cast.cohort))
    update, rounding = some_update(size.d), Secret.draw(system_entropy)
    values = cast.value_of(me)

    def dealt() -> object:
        return deal(
            cast.transcript, me, cast.secrets[me], holders, size.threshold,
            KeyPair(cast.envelopes[me].secret), envelope_keys, system_entropy,
        )  # fmt: skip

    def opened() -> object:  # dealing has agreed with the same neighbours
        return [
            receive(
                cast.transcript, peer, me, SHARED_KINDS, cast.dealings[peer].ciphertexts[me],
                cast.dealings[peer].share_commitments[me], cast.envelopes[me],
                envelope_keys[peer],
            )
            for peer in peers
        ]  # fmt: skip

    def fresh() -> MaskSecrets:  # a pair that has agreed with nobody yet, as in a round
        own = cast.masks[me]
        return MaskSecrets(KeyPair(own.mask_key.secret), own.self_seed)

    def masked() -> UInt:
        return mask_input(context, me, fresh(), peer_keys, values)

    def uploaded() -> object:
        quantised = cast.quantiser.quantise(update, rounding)
        sent = mask_input(context, me, fresh(), peer_keys, quantised)
        payload = context.ring.to_bytes(sent)
        return payload, upload_digest(cast.transcript, me, payload)

    agreements = FloorWork(agreements=len(peers))
    stream = (len(peers) + 1) * size.d * _WORD
    masks = FloorWork(stream_bytes=stream, agreements=len(peers))
    envelopes = sum(map(len, cast.dealings[me].ciphertexts.values()))
    payload = context.ring.packed_bytes(size.d)
    steps = (
        ("client: deal shares", cheapest(dealt), envelopes, agreements),
        ("client: open envelopes", cheapest(opened), envelopes, agreements),
        ("client: mask", cheapest(masked), 0, masks),
        ("client: quantise, mask, pack, digest", cheapest(uploaded), payload, masks),
    )
    return [speed_row(name, size, 0.0, spent, b, work, floors) for name, spent, b, work in steps]
