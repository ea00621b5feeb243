"""Time limits of an object store in a cloud. It knows no store."""

import attrs


@attrs.frozen(kw_only=True)
class Patience:
    """How long a store may take before it counts as stalled."""

    connect_s: float = 5.0
    #: One request: a part of 5 MiB, or a range of 1 MiB.
    request_s: float = 60.0
    #: After so long no request is sent again, and after so many times.
    retry_s: float = 60.0
    retries: int = 5
    #: Before the first retry; each later pause is about twice as long.
    pause_s: float = 0.1

    @property
    def step_s(self) -> float:
        """Upper bound of one step with all its retries."""
        return self.connect_s + self.request_s + self.retry_s
