"""What a server must not lose: ``state.db`` and its blobs (docs/adr/0023)."""
