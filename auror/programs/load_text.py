"""What a load test found, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from auror.programs.load_report import LoadReport


def as_text(report: LoadReport) -> str:
    """The report for people."""
    return "\n".join(_lines(report))


def _lines(report: LoadReport) -> Iterator[str]:
    test = report.test
    yield (
        f"{test.clients} clients, {test.dim} entries, dropout {test.dropout:g}:"
        f" {report.rounds_finished} rounds finished,"
        f" {report.rounds_aborted} aborted{_counted(report.aborted)},"
        f" {report.dropped} client-rounds broken off{_counted(report.reasons)}"
    )
    counts = report.client_rounds
    if counts.planned:
        yield (
            f"client-rounds of finished rounds: {counts.planned} = {counts.accepted} accepted"
            f" + {counts.dropped} dropped + {counts.left_out} left out with their group"
            f" + {counts.excluded} of excluded clients + {counts.away} of clients not there"
        )
    if report.excluded:
        yield f"excluded for their conduct: {len(report.excluded)} clients"
    yield (
        f"{report.seconds_per_round:.1f} s a round, {report.seconds:.1f} s in all;"
        f" {report.client_rounds_per_second:.1f} clients a second"
    )
    yield f"{'phase':<16}{'p50 s':>9}{'p90 s':>9}{'p95 s':>9}{'p99 s':>9}{'whole s':>9}"
    for name, one in report.phases.items():
        values = (one.p50, one.p90, one.p95, one.p99, one.longest)
        yield f"{name:<16}" + "".join(f"{value:>9.3f}" for value in values)
    yield f"messages: up {report.bytes_up / 1e6:.1f} MB, down {report.bytes_down / 1e6:.1f} MB"
    if report.wire_up is not None and report.wire_down is not None:
        yield (
            f"on the wire: up {report.wire_up / 1e6:.1f} MB, down {report.wire_down / 1e6:.1f} MB;"
            f" upload expansion {report.upload_expansion:.3f}"
        )
    yield (
        f"server: {report.server_cpu_per_round:.1f} CPU s a round,"
        f" {report.server_peak_rss_bytes / 1e6:.0f} MB peak"
    )
    yield (
        f"clients: {report.swarm_cpu_per_round:.1f} CPU s a round,"
        f" {report.swarm_peak_rss_bytes / 1e6:.0f} MB peak in {test.workers} processes"
    )
    yield f"limit: {report.limit}"
    if report.verdict is not None:
        judged = report.verdict
        yield (
            f"verdict: {judged.found} of {test.attackers} attackers flagged, {judged.falsely}"
            f" honest ones flagged, {len(judged.suspected)} suspected"
        )
    if report.refused:
        yield f"refused{_counted(report.refused)}"
    if report.rounds_finished < test.rounds:
        why = f": {report.gave_up}" if report.gave_up else ""
        yield f"NOT FINISHED: {report.rounds_finished} of {test.rounds} rounds had a total{why}"
    yield from (f"lost: {host}" for host in report.lost)
    if report.uncompared:
        yield (
            f"NOT COMPARED: {report.uncompared} totals with clients whose records were lost with"
            " their host"
        )
    if report.exact is None:
        yield f"no total was {'compared' if report.rounds_finished else 'opened'}"
    else:
        yield f"every total exact: {'yes' if report.exact else 'NO'}"


def _counted(reasons: Mapping[str, int]) -> str:
    if not reasons:
        return ""
    return f" ({', '.join(f'{why} {times}' for why, times in reasons.items())})"
