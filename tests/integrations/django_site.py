"""A small Django site: its settings, views and router. `configure()` once in a process, then use Django's clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template import engines
from django.urls import path

import graysplit

STORE: Final = "memory://django-site"
OURS: Final = "graysplit.integrations.django.GraysplitMiddleware"
SESSIONS: Final = "django.contrib.sessions.middleware.SessionMiddleware"

gray = graysplit.Router()
gray.split("checkout", "old", "new")


def shop(request: HttpRequest) -> HttpResponse:
    """Answer with the version, and log in whom the query names."""
    if "login" in request.GET:
        request.session["user"] = request.GET["login"]
    return HttpResponse(request.graysplit.choose("checkout"))  # type: ignore[attr-defined] # the middleware's


async def ashop(_: HttpRequest) -> HttpResponse:
    """Answer with the version."""
    return HttpResponse(gray.choose("checkout"))


def stream(_: HttpRequest) -> StreamingHttpResponse:
    """Answer with the version, three times."""

    def parts() -> Iterator[str]:
        for _ in range(3):
            yield gray.choose("checkout")

    return StreamingHttpResponse(parts())


async def astream(_: HttpRequest) -> StreamingHttpResponse:
    """Answer with the version, three times."""

    async def parts() -> AsyncIterator[str]:
        for _ in range(3):
            yield gray.choose("checkout")

    return StreamingHttpResponse(parts())


def template(_: HttpRequest) -> HttpResponse:
    """Answer with the version that a template asks for."""
    text = '{% load graysplit %}{% split_version "checkout" as version %}{{ version }}'
    return HttpResponse(engines["django"].from_string(text).render())


urlpatterns = [
    path("", shop),
    path("async", ashop),
    path("stream", stream),
    path("astream", astream),
    path("template", template),
]


def configure(**more: Any) -> None:
    """Configure Django, unless that has been done."""
    if settings.configured:
        return
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="a test's",  # noqa: S106 - not one
        INSTALLED_APPS=["django.contrib.sessions", "graysplit.integrations.django"],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        MIDDLEWARE=[SESSIONS, OURS],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        USE_TZ=True,
        GRAYSPLIT={
            "ROUTER": f"{__name__}.gray",
            "URL": STORE,
            "UNIT": ("session:user", "header:x-user"),
            "VISITOR_COOKIE": "visitor",
            "VERSIONS_HEADER": "X-Versions",
            **more,
        },
    )
    django.setup()
