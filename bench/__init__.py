"""What a call costs: CPU seconds of our processes per 1,000 calls, request path and drain apart. `make bench`."""
