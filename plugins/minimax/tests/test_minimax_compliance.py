from pathlib import Path

import musicgate_minimax
from musicgate.testing.compliance import ProviderCompliance


class TestCompliance(ProviderCompliance):
    plugin = musicgate_minimax
    cases = Path(__file__).parent / "cases"
    failure_switches = "create=1026"
