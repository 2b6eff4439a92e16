"""Real processes: demo, load test, replay."""
