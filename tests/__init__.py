"""The tests mirror `src/graysplit`; beside them stand laws, faults, typing and vectors."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Properties speak of answers, never of time: a busy machine is no counterexample.
settings.register_profile("graysplit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("graysplit")
