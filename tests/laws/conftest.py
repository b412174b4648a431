"""How hard the laws are tried: `EDDYLINE_EXAMPLES` streams each (default 12), any failure with the line that repeats it."""

import os

from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "laws",
    max_examples=int(os.environ.get("EDDYLINE_EXAMPLES", "12")),
    deadline=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
