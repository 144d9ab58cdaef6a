"""What holds for every test."""

from hypothesis import HealthCheck, settings

# Whether a property holds does not depend on how busy the machine is: speed is for the benchmarks.
settings.register_profile("arouter", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("arouter")
