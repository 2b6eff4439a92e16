"""Aggregation rules that see every client's update, to compare AUROR with.

None of them can run under secure aggregation, so a run under one of them has no privacy at all.
"""
