"""What a run gave away: the account every report prints."""
