"""Property tests judge what is computed, not how fast: the machine may be busy."""

from hypothesis import HealthCheck, settings

settings.register_profile("spangate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("spangate")
