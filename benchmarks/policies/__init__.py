"""The six release policies, played with real processes under load: `python -m benchmarks.policies`."""
