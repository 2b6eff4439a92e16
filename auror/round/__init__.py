"""A round: two masked sums, groups, statistics, agreement, binding check. ``run.py`` plays one."""
