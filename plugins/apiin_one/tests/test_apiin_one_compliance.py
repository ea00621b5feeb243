from pathlib import Path

import musicgate_apiin_one
from musicgate.testing.compliance import ProviderCompliance


class TestCompliance(ProviderCompliance):
    plugin = musicgate_apiin_one
    cases = Path(__file__).parent / "cases"
    failure_switches = "failure=all"
