"""What people hand to a router, as its settings hold it; what cannot be meant is refused where it was written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from graysplit.core.address import EVERYTHING
from graysplit.environment import check_namespace, check_text, items_of, kind_of, path_of
from graysplit.errors import ConfigurationError
from graysplit.router.settings import Settings

if TYPE_CHECKING:
    from graysplit.notices.hooks import Hook


P = ParamSpec("P")
R = TypeVar("R")


def with_parentheses(example: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a method that makes a decorator say on its own line that it stands without parentheses: `@gray.warm`."""

    def taking(method: Callable[P, R]) -> Callable[P, R]:
        @wraps(method)
        def taken(*args: P.args, **kwargs: P.kwargs) -> R:
            given: tuple[object, ...] = args[1:]  # without self
            if len(given) == 1 and not kwargs and not isinstance(given[0], str):
                from graysplit.routes.signature import check_called

                check_called(given[0], method.__name__, example)
            return method(*args, **kwargs)

        return taken

    return taking


def make_settings(  # noqa: PLR0913 - keyword-only settings
    *,
    url: str | None,
    namespace: str | None,
    off: str | Iterable[str] | bool | None,
    off_file: str | os.PathLike[str] | None,
    cache_dir: str | os.PathLike[str] | None,
    bootstrap: str | os.PathLike[str] | None,
    instance: str | None,
    zone: str | None,
    sigterm: bool | None,
    notify: str | Hook | Iterable[str | Hook] | None,
) -> Settings:
    """Return the settings that arguments say; raise `ConfigurationError` for one that cannot work."""
    check_namespace(namespace)
    check_switch("sigterm", sigterm)
    if check_text("url", url) is not None:
        from graysplit.stores.url import check_scheme

        check_scheme(url or "")
    return Settings(
        url,
        namespace,
        off_words(off),
        path_text("off_file", off_file),
        path_text("cache_dir", cache_dir),
        path_text("bootstrap", bootstrap),
        check_text("instance", instance),
        check_text("zone", zone),
        notify=hooks_given(notify),
        sigterm=sigterm,
    )


def check_switch(name: str, given: object) -> None:
    """Raise `ConfigurationError` for what is neither True nor False, nor absent."""
    if given is not None and not isinstance(given, bool):
        raise ConfigurationError(f"invalid {name}: use True or False, not {kind_of(given)}")


def off_words(off: object) -> str | None:
    """Return what is switched off as `GRAYSPLIT_OFF` has it: words; True is everything."""
    if off is None or isinstance(off, str):
        return off
    if isinstance(off, bool):
        return EVERYTHING if off else ""
    names = items_of(off)
    if names is None or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(
            f'invalid off: use names of splits, off="checkout,search" or off=["checkout", "search"], or off="*" for '
            f"everything, not {kind_of(off)}"
        )
    return ",".join(map(str, names))


def path_text(name: str, path: str | os.PathLike[str] | None) -> str | None:
    """Return a path as text; an empty one names no place."""
    if path is None:
        return None
    text = path_of(path)
    if text is None:
        raise ConfigurationError(f"invalid {name}: use a path as text or a pathlib.Path, not {kind_of(path)}")
    return check_text(name, text)


def hooks_given(notify: str | Hook | Iterable[str | Hook] | None) -> tuple[Hook, ...] | None:
    """Return whom to tell: hooks as they are, addresses as webhooks, as many as were named."""
    if notify is None:
        return None
    if isinstance(notify, str):
        check_text("notify", notify)
        return _webhooks(notify)
    several = (notify,) if _is_hook(notify) else items_of(notify)
    if several is None:
        raise _no_hook(notify)
    return tuple(hook for one in several for hook in _hooks_of(one))


def _hooks_of(one: object) -> tuple[Hook, ...]:
    if isinstance(one, str):
        return _webhooks(one)
    if not _is_hook(one):
        raise _no_hook(one)
    return (one,)  # type: ignore[return-value] # it has what a hook has


def _webhooks(addresses: str) -> tuple[Hook, ...]:
    from graysplit.notices.notifier import hooks_of

    return hooks_of(addresses)


def _is_hook(given: object) -> bool:
    return all(hasattr(given, name) for name in ("name", "causes", "prepare", "deliver")) and not isinstance(
        given, type
    )


def _no_hook(given: object) -> ConfigurationError:
    return ConfigurationError(
        'invalid notify: use an address ("https://example.com/hook"), graysplit.Webhook(...), '
        f"graysplit.CommandHook([...]), or a list of these, not {kind_of(given)}"
    )
