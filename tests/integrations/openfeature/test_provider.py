"""The OpenFeature provider: types, reasons, errors that are returned, events, tracking, hooks, domains and forks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationOptions
from openfeature.hook import Hook
from openfeature.provider import ProviderStatus
from openfeature.track import TrackingEventDetails

import graysplit
from graysplit import ConfigurationError, Control, Router, embedded
from graysplit.integrations.openfeature import GraysplitProvider
from graysplit.stores.memory import MemoryStore
from graysplit.testing import forced
from tests.support import eventually

CANARY = "ada@example.org"
ADA = EvaluationContext(CANARY)


@pytest.fixture(autouse=True)
def _no_provider() -> Iterator[None]:
    """Leave no provider behind."""
    yield
    api.clear_providers()


@pytest.fixture
def store() -> MemoryStore:
    """Return a private store."""
    return MemoryStore()


@pytest.fixture
def control(store: MemoryStore) -> Control:
    """Return a control of that store."""
    return Control(store, confirm=True)


@pytest.fixture
def router(store: MemoryStore) -> Iterator[Router]:
    """Return a router that its provider starts: it has read then what a test has created before."""
    made = Router(store)
    yield made
    made.close()


def client_of(router: Router, **options: object) -> OpenFeatureClient:
    """Set a provider for everybody and return a client."""
    api.set_provider_and_wait(GraysplitProvider(router, **options))  # type: ignore[arg-type] # as each test says
    return api.get_client()


def test_the_five_types(control: Control, router: Router) -> None:
    """Values are what was written beside the versions; at 100 % each is the candidate's, and static."""
    values: dict[str, dict[str, object]] = {
        "b": {"old": False, "new": True},
        "s": {"old": "hi", "new": "bye"},
        "i": {"old": 1, "new": 10},
        "f": {"old": 0.5, "new": 1},
        "o": {"old": {}, "new": {"pages": [1, 2]}},
    }
    for split in values:
        control.create(split)
        control.set(split, 100)
    client = client_of(router, values=values)
    assert client.get_boolean_value("b", default_value=False, evaluation_context=ADA) is True
    assert client.get_string_value("s", "x", ADA) == "bye"
    assert client.get_integer_value("i", 7, ADA) == 10
    number = client.get_float_value("f", 7.0, ADA)
    assert (number, type(number)) == (1.0, float)
    found = client.get_object_details("o", {"x": 1}, ADA)
    assert (found.value, found.variant, found.reason) == ({"pages": [1, 2]}, "new", "STATIC")
    found.value["pages"] = "changed by the caller"  # type: ignore[index, call-overload] # a copy
    assert client.get_object_value("o", {}, ADA) == {"pages": [1, 2]}
    assert asyncio.run(client.get_integer_value_async("i", 7, ADA)) == 10


def test_without_values_a_string_is_the_version_and_a_boolean_a_switch(control: Control, router: Router) -> None:
    """Of two versions the candidate is True, unless they are called on and off; of three nobody knows."""
    control.create("two")
    control.create("named", versions=["on", "off"])
    control.create("three", versions=["a", "b", "c"])
    client = client_of(router)
    assert client.get_boolean_value("two", default_value=True, evaluation_context=ADA) is False
    assert client.get_boolean_value("named", default_value=False, evaluation_context=ADA) is True
    assert client.get_string_value("three", "x", ADA) == "a"
    assert client.get_boolean_details("three", default_value=True).error_code is ErrorCode.TYPE_MISMATCH
    assert client.get_integer_details("two", 5).error_code is ErrorCode.TYPE_MISMATCH


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"old": 1}, "needs a value for each"),
        ({"old": 1, "new": "two"}, "several types: int, str"),
        ({"old": True, "new": 1}, "several types: bool, int"),
        ({"old": 1.0, "new": float("nan")}, "finite number"),
        ({"old": None, "new": 1}, "has a NoneType"),
    ],
)
def test_values_are_checked_where_they_are_written(values: dict[str, object], said: str) -> None:
    """What cannot be served is refused by the constructor, with the split's name."""
    with pytest.raises(ConfigurationError, match=said) as found:
        GraysplitProvider(Router(), values={"banner": values})  # type: ignore[dict-item] # on purpose
    assert "banner" in str(found.value)


def test_a_boolean_is_not_a_number(control: Control, router: Router) -> None:
    """OpenFeature alone would take True for an integer, and refuse 1 for a float."""
    control.create("flag")
    client = client_of(router, values={"flag": {"old": True, "new": False}})
    for asked in (client.get_integer_details("flag", 3), client.get_float_details("flag", 3.0)):
        assert (asked.value, asked.error_code, asked.reason) == (3, ErrorCode.TYPE_MISMATCH, "ERROR")


def test_reasons(control: Control, router: Router) -> None:
    """Each of graysplit's reasons is one of OpenFeature's; the unit stands nowhere in what is answered."""
    control.create("checkout")
    client = client_of(router)

    def asked(key: EvaluationContext | None = ADA) -> tuple[object, object, object]:
        found = client.get_string_details("checkout", "mine", key)
        assert CANARY not in repr(found)
        return found.value, found.reason, found.error_code

    assert asked() == ("old", "STATIC", None)
    assert asked(None) == ("old", "STATIC", None)  # one version for everybody: no targeting key is needed
    control.set("checkout", 50)
    eventually(lambda: asked()[1] == "SPLIT")
    assert asked(None) == ("mine", "ERROR", ErrorCode.TARGETING_KEY_MISSING)
    assert asked(EvaluationContext("\ud800")) == ("mine", "ERROR", ErrorCode.INVALID_CONTEXT)
    with graysplit.context(CANARY):
        assert asked(None)[1] == "SPLIT"
        assert asked(None)[1] == "CACHED"
    control.pin("checkout", CANARY, "new")
    eventually(lambda: asked() == ("new", "TARGETING_MATCH", None))
    control.unpin("checkout", CANARY)
    control.set("checkout", 100)
    eventually(lambda: asked() == ("new", "STATIC", None))
    with forced(checkout="old"):
        assert asked() == ("old", "STATIC", None)
    control.rollback("checkout")
    eventually(lambda: asked() == ("old", "DISABLED", None))
    assert client.get_string_details("chekout", "mine").error_code is ErrorCode.FLAG_NOT_FOUND


def test_metadata_is_the_revision_and_the_namespace(control: Control, router: Router) -> None:
    """And never the unit."""
    control.create("checkout")
    found = client_of(router, metadata={"checkout": {"owner": "ada"}}).get_string_details("checkout", "mine", ADA)
    assert dict(found.flag_metadata) == {
        "version": "1",
        "flagSetId": "default",
        "graysplit.reason": "baseline",
        "owner": "ada",
    }


def test_switched_off_everybody_gets_the_baseline(control: Control, store: MemoryStore) -> None:
    """Break-glass is DISABLED; a split that nobody knows gives the caller's own default."""
    control.create("checkout")
    control.set("checkout", 100)
    with Router(store, off="*") as router:
        client = client_of(router, values={"checkout": {"old": 1, "new": 2}})
        found = client.get_integer_details("checkout", 7, ADA)
        assert (found.value, found.variant, found.reason) == (1, "old", "DISABLED")
        found = client.get_integer_details("nobody-knows", 7, ADA)
        assert (found.value, found.variant, found.reason) == (7, None, "DISABLED")


def test_what_breaks_inside_is_returned_and_not_raised(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback for each evaluation: an error code."""
    client = client_of(router)
    monkeypatch.setattr("graysplit.integrations.openfeature.decide_by_state", lambda *_: 1 / 0)
    found = client.get_string_details("checkout", "mine", ADA)
    assert (found.value, found.error_code, found.error_message) == (
        "mine",
        ErrorCode.GENERAL,
        "evaluating the flag failed: ZeroDivisionError",
    )


def listening(event: ProviderEvent) -> list[EventDetails]:
    """Return the list into which the events of one kind go."""
    heard: list[EventDetails] = []
    api.add_handler(event, heard.append)
    return heard


def test_a_change_is_told_with_the_flags(control: Control, router: Router) -> None:
    """CONFIGURATION_CHANGED names those that changed, and the status stays READY."""
    control.create("checkout")
    control.create("search")
    client = client_of(router)
    heard = listening(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
    control.set("search", 5)
    eventually(lambda: any(details.flags_changed == ["search"] for details in heard))
    assert client.get_provider_status() is ProviderStatus.READY
    before = len(heard)
    control.rollback("search")
    eventually(lambda: len(heard) > before and heard[-1].flags_changed == ["search"])


def test_stale_and_back(namespace: str) -> None:
    """A store that stops makes it STALE, and READY brings it back; the last version stands, and says that it is old."""
    with embedded.server() as server, Router(server.url, namespace=namespace) as router:
        control = Control(server.url, namespace=namespace, confirm=True)
        control.create("checkout")
        control.set("checkout", 100)
        client = client_of(router)
        eventually(lambda: client.get_string_value("checkout", "x", ADA) == "new")
        stale, ready = listening(ProviderEvent.PROVIDER_STALE), listening(ProviderEvent.PROVIDER_READY)
        server.pause()
        eventually(lambda: len(stale) == 1, within=15)
        assert client.get_provider_status() is ProviderStatus.STALE
        found = client.get_string_details("checkout", "x", ADA)
        assert (found.value, found.reason, found.flag_metadata["stale"]) == ("new", "STATIC", True)
        before = len(ready)
        server.resume()
        eventually(lambda: len(ready) > before, within=15)
        assert client.get_provider_status() is ProviderStatus.READY
        assert "stale" not in client.get_string_details("checkout", "x", ADA).flag_metadata


def test_a_store_that_is_not_there_makes_it_stale_and_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """`set_provider` does not wait; the code's own baseline answers."""
    monkeypatch.setattr("graysplit.integrations.openfeature.READY_WITHIN_S", 0.2)
    with Router("redis://localhost:1/0") as router:
        stale = listening(ProviderEvent.PROVIDER_STALE)
        api.set_provider(GraysplitProvider(router, values={"banner": {"old": 1, "new": 2}}))
        client = api.get_client()
        assert client.get_integer_details("banner", 7, ADA).error_code is ErrorCode.PROVIDER_NOT_READY
        eventually(lambda: len(stale) == 1, within=10)
        found = client.get_integer_details("banner", 7, ADA)
        assert (found.value, found.reason) == (1, "DEFAULT")
        assert client.get_integer_details("unheard", 7, ADA).error_code is ErrorCode.PROVIDER_NOT_READY
        assert client.get_provider_status() is ProviderStatus.STALE


def test_a_wrong_address_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for it hears of it; evaluations give the baseline all the same."""
    monkeypatch.setenv("GRAYSPLIT_URL", "reddis://localhost")
    provider = GraysplitProvider(Router())
    with pytest.raises(ConfigurationError, match="redis://"):
        api.set_provider_and_wait(provider)
    assert api.get_client().get_string_details("checkout", "mine", ADA).value == "mine"


def test_several_domains_share_one_provider(control: Control, router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is initialised once, is a key of dicts, and goes on while one domain still has it."""
    control.create("checkout")
    provider, started = GraysplitProvider(router), list[object]()
    initialize = provider.initialize
    monkeypatch.setattr(provider, "initialize", lambda ctx: (started.append(ctx), initialize(ctx))[1])
    for domain in ("web", "jobs"):
        api.set_provider_and_wait(provider, domain)
    assert ({provider: 1}[provider], len(started)) == (1, 1)
    api.set_provider_and_wait(GraysplitProvider(Router()), "web")
    heard = listening(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
    api.get_client("jobs").add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, heard.append)
    control.set("checkout", 100)
    eventually(lambda: api.get_client("jobs").get_string_value("checkout", "x", ADA) == "new")
    eventually(lambda: bool(heard))


class Recorded(Hook):
    """A hook that writes down its stages."""

    def __init__(self) -> None:
        """Begin with none."""
        self.stages: list[object] = []

    def before(self, **_: object) -> EvaluationContext:
        """Give the unit."""
        self.stages.append("before")
        return ADA

    def after(self, *, details: object, **_: object) -> None:
        """Write down what was answered."""
        self.stages.append(getattr(details, "variant", None))


def test_hooks_see_variant_and_give_the_unit(control: Control, router: Router) -> None:
    """A targeting key that a hook adds is the unit."""
    control.create("checkout")
    control.set("checkout", 50)
    control.pin("checkout", CANARY, "new")
    hook, client = Recorded(), client_of(router)
    found = client.get_string_details("checkout", "x", None, FlagEvaluationOptions(hooks=[hook]))
    assert (found.value, hook.stages) == ("new", ["before", "new"])


def test_tracking_is_a_goal(control: Control, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a unit does later goes to the guard of the version that it met; a value is a share of what was said."""
    control.create("checkout")
    control.guard("checkout")
    control.set("checkout", 50)
    goals: list[dict[str, object]] = []
    record = Router.record
    monkeypatch.setattr(Router, "record", lambda self, goal, **how: (goals.append(how), record(self, goal, **how))[1])
    with Router(store) as router:
        client = client_of(router, at_most={"purchase": 200.0})
        assert client.get_string_details("checkout", "x", ADA).reason == "SPLIT"
        client.track("purchase", ADA, TrackingEventDetails(100.0))
        client.track("seen", ADA, TrackingEventDetails(3.0))
        assert goals == [
            {"unit": CANARY, "value": 100.0, "at_most": 200.0},
            {"unit": CANARY, "value": None, "at_most": 1.0},
        ]
        for value in (float("nan"), -1.0, "much"):
            client.track("purchase", ADA, TrackingEventDetails(value))  # type: ignore[arg-type] # never raises
        client.track("purchase")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_right_after_a_fork(namespace: str, redis_url: str) -> None:
    """A child answers at once, follows changes, and emits to its own OpenFeature: the status is right."""
    control = Control(redis_url, namespace=namespace, confirm=True)
    control.create("checkout")
    control.set("checkout", 100)
    with Router(redis_url, namespace=namespace) as router:
        client = client_of(router)
        eventually(lambda: client.get_string_value("checkout", "x", ADA) == "new")
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            _in_child(client, writing)
        os.close(writing)
        assert os.read(reading, 10) == b"new"
        control.rollback("checkout")
        assert os.read(reading, 20) == b"old READY"
        os.close(reading)
        assert os.waitpid(child, 0)[1] == 0


def _in_child(client: OpenFeatureClient, writing: int) -> None:
    code = 1
    try:
        os.write(writing, client.get_string_value("checkout", "x", ADA).encode())
        eventually(lambda: client.get_string_value("checkout", "x", ADA) == "old")
        os.write(writing, f"old {client.get_provider_status().value}".encode())
        code = 0
    finally:
        os._exit(code)
