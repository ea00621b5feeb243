from pathlib import Path

import musicgate_apiin_one
from musicgate.plugin import MusicRequest
from musicgate.testing.compliance import ProviderCompliance


class TestCompliance(ProviderCompliance):
    plugin = musicgate_apiin_one
    cases = Path(__file__).parent / "cases"
    failure_switches = "failure=all"
    #: Whether the vendor's callbacks name the task is not known: its relatives' do not.
    requests = (MusicRequest(model="suno/v3.5", prompt="Rain [emulate callback_shape=envelope_with_id]"),)
