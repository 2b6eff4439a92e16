"""What somebody can check of a run who was not there and does not trust who has the database."""
