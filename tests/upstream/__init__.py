"""The replay upstream: a real HTTP server process of ours that speaks two formats exactly and counts what it served."""
