"""Types of what `Client.plan`, `Client.models` and `Client.providers` return.

The JSON of a server as it is: newer servers may add fields. The descriptions are in the published schemas
``plan``, ``model_list`` and ``provider_list``, from which no field here may differ.
"""

from typing import Literal, NotRequired, TypedDict


class Warned(TypedDict):
    """An option that could not be honoured."""

    code: str
    path: list[str | int]
    message: str
    provider_plugin: NotRequired[str | None]


class VendorRequest(TypedDict):
    """A request to a vendor, without secrets. A body that is JSON is parsed."""

    method: str
    url: str
    headers: NotRequired[dict[str, str]]
    body: dict[str, object] | list[object] | str | None


class PriceLine(TypedDict):
    """What one meter would cost."""

    meter: str
    quantity: NotRequired[float | None]
    unit_size: float
    price_per_unit: float | str
    line_nanos: NotRequired[int | None]


class Price(TypedDict):
    """What a request would cost. A total is None while it depends on a quantity that is not known."""

    currency: Literal["USD"]
    total_nanos: int | None
    total_usd_str: str | None
    total_cents: NotRequired[int | None]
    lines: list[PriceLine]


class Health(TypedDict):
    """The circuit breaker of a plugin, and its create calls of the last minutes."""

    state: Literal["closed", "open", "half_open"]
    error_rate: float
    calls: int
    opens_until: str | None


class Candidate(TypedDict):
    """A plugin that would be called, and its request to the vendor."""

    provider: str
    provider_plugin: str
    native_model: str
    upstream_request: VendorRequest
    warnings: list[Warned]
    price: NotRequired[Price | None]
    health: NotRequired[Health]


class Exclusion(TypedDict):
    """A plugin that would not be called, and why."""

    provider: NotRequired[str]
    provider_plugin: str
    reason: str
    message: str


class RemotePlan(TypedDict):
    """What a server would do with a request: the plugins that it would call, in this order."""

    object: Literal["plan"]
    model: str
    candidates: list[Candidate]
    excluded: list[Exclusion]
    requestId: NotRequired[str]


class PriceRule(TypedDict):
    """The price of one meter."""

    meter: str
    unit_size: float
    price_per_unit: str
    currency: Literal["USD"]


class Right(TypedDict):
    """What a vendor states, with its page and the date on which it was read."""

    statement: str
    source: str | None
    as_of: str | None


class Offer(TypedDict):
    """What one plugin offers of a model. Limits are in characters and seconds."""

    provider: str
    provider_plugin: str
    native_model: str | None
    configured: bool
    stage: str
    abilities: list[str]
    formats: list[str]
    tracks: int
    limits: dict[str, float | None]
    pricing: list[PriceRule] | None
    rights: dict[str, Right]
    options: NotRequired[list[dict[str, object]]]


class RemoteModel(TypedDict):
    """A public model, with the plugins that offer it."""

    id: str
    object: Literal["model"]
    aliases: list[str]
    offers: list[Offer]


class CreateWindow(TypedDict):
    """How many create calls a vendor takes in a time."""

    calls: int
    seconds: float


class RemoteProvider(TypedDict):
    """A plugin with its health. Times are in seconds; lower priorities are asked first."""

    provider: str
    provider_plugin: str
    label: str
    stage: str
    configured: bool
    key_setting: NotRequired[str | None]
    blocking: NotRequired[bool]
    callbacks: NotRequired[bool]
    option_block: NotRequired[str | None]
    priority: NotRequired[int]
    typical_seconds: NotRequired[float | None]
    deadline_seconds: NotRequired[float | None]
    retention_seconds: NotRequired[float | None]
    max_parallel_creates: NotRequired[int | None]
    create_window: NotRequired[CreateWindow | None]
    models: list[str]
    docs_url: NotRequired[str | None]
    waiting: int
    health: Health
