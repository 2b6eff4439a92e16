"""What a run gave away: the account every report prints (DESIGN section 6)."""
