"""The main job on a real inference server that nobody here wrote: `transformers serve` with a tiny model made on the spot."""
