"""What must not lose a call: death, outages, interrupted work. `make chaos` is the full size, `pytest tests/chaos` a small one."""
