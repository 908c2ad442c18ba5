"""Real processes, real clients, and one invariant."""
