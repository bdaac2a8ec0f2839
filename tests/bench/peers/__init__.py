"""One step, one process, one broker: our consumer beside other people's workers. `python -m tests.bench.peers`."""
