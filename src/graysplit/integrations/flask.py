"""Flask: an extension. `Graysplit(app, gray)`, or `Graysplit(router=gray).init_app(app)` in an app factory.

| config key | what it says |
|---|---|
| `GRAYSPLIT_URL`, `GRAYSPLIT_NAMESPACE` | the store, where the router was not told and has not started |
| `GRAYSPLIT_UNIT` | `"header:x-user"`, `"cookie:sid"`, `"session:user_id"`, a callable on Flask's request, or several |
| `GRAYSPLIT_ATTRIBUTES` | names mapped to such sources, or a callable on Flask's request |
| `GRAYSPLIT_VISITOR_COOKIE` | the name of a cookie that gives users without a unit a random one |
| `GRAYSPLIT_VERSIONS_HEADER` | the name of a response header that lists the versions taken |
| `GRAYSPLIT_READY_WITHIN` | how long a process's first request waits for the store, in seconds |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from graysplit.errors import ConfigurationError
from graysplit.integrations import wsgi
from graysplit.integrations.request import OpenRequest, RequestPolicy
from graysplit.integrations.units import RequestReaders
from graysplit.integrations.wsgi import READY_WITHIN_S, REQUEST, Environ, GraysplitMiddleware
from graysplit.router.inside import lifecycle_of
from graysplit.router.router import Router
from graysplit.scope import MISSING

try:
    import flask
except ImportError as missing:
    raise ImportError('graysplit.integrations.flask needs Flask: pip install "graysplit[flask]"') from missing

if TYPE_CHECKING:
    from graysplit.core.durations import Span
    from graysplit.integrations.units import ReadRequest

__all__ = ["Graysplit"]


class FlaskState(NamedTuple):
    """What stands at `app.extensions["graysplit"]`."""

    router: Router
    policy: RequestPolicy


class Graysplit:
    """The extension. One may serve several applications; without a router it makes one from the configuration."""

    def __init__(self, app: flask.Flask | None = None, router: Router | None = None) -> None:
        """Take the router, and the application if it is there already; nothing is started."""
        self.router = router if router is not None else Router()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Join an application; nothing is started. Raise `ConfigurationError` for settings that cannot work."""
        if "graysplit" in app.extensions:
            raise ConfigurationError(f"graysplit has joined the Flask application '{app.name}' already: init_app once")
        setting: Callable[..., Any] = cast("Any", app.config).get  # Any: each key's own
        url, namespace = setting("GRAYSPLIT_URL"), setting("GRAYSPLIT_NAMESPACE")
        if (url or namespace) and not lifecycle_of(self.router).started:
            self.router.configure(url, namespace=namespace)
        policy = RequestPolicy(
            READERS,
            setting("GRAYSPLIT_UNIT"),
            setting("GRAYSPLIT_ATTRIBUTES"),
            setting("GRAYSPLIT_VISITOR_COOKIE"),
            setting("GRAYSPLIT_VERSIONS_HEADER"),
        )
        app.extensions["graysplit"] = FlaskState(self.router, policy)
        wait_s = setting("GRAYSPLIT_READY_WITHIN", READY_WITHIN_S)
        app.wsgi_app = FlaskMiddleware(app.wsgi_app, self.router, policy, wait_s)  # type: ignore[method-assign] # Flask's way
        app.before_request(_identify)
        app.add_template_global(self.router.choose, "graysplit_version")


class FlaskMiddleware(GraysplitMiddleware):
    """The WSGI middleware, where the unit is found later, by Flask's own request and session."""

    def __init__(self, app: Any, router: Router, policy: RequestPolicy, ready_within: Span) -> None:  # noqa: ANN401 - WSGI's
        """Wrap the application's WSGI callable."""
        super().__init__(app, router, ready_within=ready_within)
        self._policy = policy

    def _open(self, environ: Environ) -> OpenRequest:
        del environ
        return OpenRequest(MISSING, None)


def _identify() -> None:
    """Set the request's unit, before its view and after the session is there."""
    opened = flask.request.environ.get(REQUEST)
    if isinstance(opened, OpenRequest):
        flask.current_app.extensions["graysplit"].policy.identify(opened, flask.request)


def _header(name: str) -> ReadRequest:
    read = wsgi.READERS.header(name)
    return lambda request: read(request.environ)


def _cookie(name: str) -> ReadRequest:
    read = wsgi.READERS.cookie(name)
    return lambda request: read(request.environ)


def _session(name: str) -> ReadRequest:
    return lambda _: flask.session.get(name)


READERS: Final = RequestReaders(_header, _cookie, _session)
