"""The replay upstream: a real HTTP server process of ours that speaks the providers' formats exactly and counts what it served."""
