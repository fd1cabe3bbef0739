"""How the suites of agentdojo are run without a model: see `benchmarks/injections.py`."""
