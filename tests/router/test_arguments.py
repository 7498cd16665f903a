"""What people hand to constructors and declarations: each does what it says, or is refused where it was written."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graysplit import INSTANCE, CommandHook, ConfigurationError, Control, RegistrationError, Router, Webhook
from graysplit.router.arguments import hooks_given

MakeRouter = Callable[..., Router]

HOOK = "https://example.com/hook"
OTHER = "https://example.org/other"


@pytest.mark.parametrize(
    "off",
    [
        "checkout,search",
        ["checkout", "search"],
        ("search", "checkout"),
        {"checkout", "search"},
        frozenset({"checkout", "search"}),
        {"checkout": 1, "search": 2}.keys(),
        iter(["checkout", "search"]),
    ],
    ids=lambda off: type(off).__name__,
)
def test_off_takes_names_however_they_are_held(off: Any, make_router: MakeRouter) -> None:
    """Each kind of collection switches off the splits that it names, and no other."""
    router = make_router("memory://", off=off)
    assert router.wait_ready(10)
    assert router.status().off == ("checkout", "search")
    assert (router.decide("search", "u").reason, router.decide("cart", "u").reason) == ("off", "empty_namespace")


@pytest.mark.parametrize(("off", "told"), [(True, ("*",)), (False, ()), ("*", ("*",)), (["*"], ("*",)), ([], ())])
def test_off_is_everything_or_nothing(off: Any, told: tuple[str, ...], make_router: MakeRouter) -> None:
    """A switch of the program's own, True or False, means everything or nothing."""
    router = make_router("memory://", off=off)
    router.start()
    assert router.status().off == told


@pytest.mark.parametrize(
    "notify",
    [HOOK, [HOOK], (HOOK,), {HOOK}, Webhook(HOOK), [Webhook(HOOK)], {Webhook(HOOK)}, iter([HOOK])],
    ids=lambda notify: type(notify).__name__,
)
def test_notify_takes_an_address_a_hook_or_several(notify: Any, make_router: MakeRouter) -> None:
    """One address is one webhook, however it is held; the router starts with it."""
    assert make_router("memory://", notify=notify).wait_ready(5)


def test_notify_tells_several_apart() -> None:
    """Addresses and hooks may stand beside each other; the order is that of the argument."""
    names = [hook.name.split()[:2] for hook in hooks_given([HOOK, CommandHook(["/bin/page"]), f"{OTHER} {HOOK}"]) or ()]
    assert names == [["webhook", "example.com"], ["command", "page"], ["webhook", "example.org"], names[0]]
    assert (hooks_given([]), hooks_given(None)) == ((), None)


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        *(("off", given) for given in (3, b"checkout", [3], {"checkout": False}, object())),
        *(
            ("notify", given)
            for given in (3, b"https://example.com", [3], "", " ", "ftp://x", [Webhook], f"{HOOK},{OTHER}")
        ),
        *(("sigterm", given) for given in ("no", 1, [])),
        *((path, given) for path in ("off_file", "cache_dir", "bootstrap") for given in ("", " ", 3, b"a", ["a"])),
        *((text, given) for text in ("namespace", "instance", "zone") for given in ("", " ", 3, b"a", ["a"])),
        ("namespace", "a b"),
        ("namespace", "{a}"),
        *(("url", given) for given in ("", b"redis://", 3, ["memory://"], Path("/x"))),
    ],
)
def test_what_cannot_work_is_refused_in_the_constructor(argument: str, given: Any) -> None:
    """A setting of another kind, or an empty one, raises with the argument's name; also in `configure`."""
    for call in (Router, Router().configure):
        with pytest.raises(ConfigurationError) as refused:
            call(**{argument: given})
        assert argument in str(refused.value) or argument == "url" or "address to notify" in str(refused.value)


def test_a_refusal_prints_no_secret() -> None:
    """What was given may be a secret: an error says its kind."""
    for call in (Router, Control):
        with pytest.raises(ConfigurationError) as refused:
            call(["redis://user:secret@host"])  # type: ignore[arg-type] # on purpose
        assert "secret" not in str(refused.value)
    with pytest.raises(ConfigurationError) as refused:
        Router(notify="ftp://user:secret@host")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        *((text, given) for text in ("namespace", "actor") for given in ("", " ", 3, b"a", ["a"])),
        ("namespace", "a b"),
        ("confirm", False),
        ("confirm", ["checkout"]),
        ("store", Router()),
        ("store", Control("memory://")),
        ("store", ""),
    ],
)
def test_what_cannot_work_is_refused_by_control(argument: str, given: Any) -> None:
    """Control refuses in its constructor too, before any verb."""
    with pytest.raises(ConfigurationError):
        Control(**{"store": "memory://", argument: given})


def test_paths_take_path_objects(tmp_path: Path, make_router: MakeRouter) -> None:
    """Each path may be a `pathlib.Path`."""
    (tmp_path / "off").write_text("checkout", encoding="utf-8")
    (tmp_path / "known.json").write_text('{"splits": {}}', encoding="utf-8")
    paths = {"off_file": tmp_path / "off", "cache_dir": tmp_path / "cache", "bootstrap": tmp_path / "known.json"}
    router = make_router("memory://", **paths)
    router.start()
    assert router.status().off == ("checkout",)


@pytest.mark.parametrize("on", ["rollback", "rollback,trip", ["rollback"], {"rollback", "trip"}, ("trip",)])
def test_a_hooks_causes_may_be_one_text(on: Any) -> None:
    """One cause may be given as it is, and several as one text."""
    assert Webhook(HOOK, on=on).causes <= {"rollback", "trip"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Webhook(HOOK, on=3),  # type: ignore[arg-type] # on purpose, as all of these
        lambda: Webhook(HOOK, on=[3]),  # type: ignore[list-item]
        lambda: Webhook(HOOK, on=b"rollback"),  # type: ignore[arg-type]
        lambda: Webhook([HOOK]),  # type: ignore[arg-type]
        lambda: Webhook(b"https://example.com"),  # type: ignore[arg-type]
        lambda: Webhook(f"{HOOK.removesuffix('/hook')},{OTHER}"),
        lambda: CommandHook("/bin/page --urgent"),
        lambda: CommandHook(Path("/bin/page")),  # type: ignore[arg-type]
        lambda: CommandHook(b"/bin/page"),  # type: ignore[arg-type]
        lambda: CommandHook(["/bin/page", 3]),  # type: ignore[list-item]
        lambda: CommandHook({"/bin/page"}),  # type: ignore[arg-type]
        lambda: CommandHook([]),
    ],
)
def test_a_hook_that_cannot_work_is_refused(make: Callable[[], object]) -> None:
    """Addresses, commands and causes of another kind raise where they are written."""
    with pytest.raises(ConfigurationError):
        make()


def test_a_command_takes_path_objects() -> None:
    """Program and arguments may be paths."""
    hook = CommandHook([Path("/bin/page"), "--to", Path("/dev/null")])
    assert (hook.address, hook._command) == ("page", ("/bin/page", "--to", "/dev/null"))


@pytest.mark.parametrize("kinds", [ValueError, (ValueError,), [ValueError], {ValueError, KeyError}])
def test_ignore_takes_one_class_or_several(kinds: Any, router: Router) -> None:
    """Classes of exceptions may be held in any collection, for routes and for handles."""
    router.split("banner", ignore=kinds)

    @router.route("basket", ignore=kinds)
    def basket() -> int:
        return 1

    assert basket() == 1


def test_a_unit_may_be_a_list(router: Router) -> None:
    """A list of units is read as a tuple is."""

    @router.route("checkout", unit=["user_id", INSTANCE])
    def checkout(user_id: str | None) -> str:
        return "old"

    assert router.split("banner", unit=[INSTANCE]) is router.split("banner", unit=(INSTANCE,))
    assert checkout(None) == "old"


@pytest.mark.parametrize("attributes", ["plan", ["plan"], 3, {"plan"}])
def test_attributes_of_another_kind_are_refused(attributes: Any, router: Router) -> None:
    """A route's attributes are a mapping or a callable; letters and lists are refused."""
    with pytest.raises(RegistrationError, match="invalid attributes"):

        @router.route("checkout", attributes=attributes)
        def checkout(plan: str) -> str:
            return "old"


def test_the_constructor_loads_nothing_heavy() -> None:
    """Arguments are read without what a start imports."""
    code = (
        "import sys, graysplit\n"
        "graysplit.Router('redis://x', off=['a'], namespace='n')\n"
        "print(sorted({'redis', 'pydantic', 'logging', 'graysplit.notices.hooks'} & set(sys.modules)))"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.strip() == "[]"
