from pathlib import Path

import musicgate_acestep
from musicgate.testing.compliance import ProviderCompliance


class TestCompliance(ProviderCompliance):
    plugin = musicgate_acestep
    cases = Path(__file__).parent / "cases"
    failure_switches = "end=failed"
