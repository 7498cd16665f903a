"""Django: the middleware and the settings dict; the view asks `request.graysplit`, the template its tag."""

from __future__ import annotations

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import Client
from django.urls import path

import graysplit

gray = graysplit.Router("memory://django-site")
gray.split("price", "old", "new")
PAGE = '{% load graysplit %}{% split_version "price" as version %}{{ version }} page'


def price(request: HttpRequest) -> HttpResponse:
    """Price by the version, on a page by the version."""
    version = request.graysplit.choose("price")  # type: ignore[attr-defined] # the middleware's
    return HttpResponse(f"{version} price on the {engines['django'].from_string(PAGE).render()}")


if __name__ == "__main__":
    settings.configure(
        ROOT_URLCONF=(path("price", price),),
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["graysplit.integrations.django"],
        MIDDLEWARE=["graysplit.integrations.django.GraysplitMiddleware"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        GRAYSPLIT={"ROUTER": "__main__.gray", "UNIT": "header:x-user"},
    )
    django.setup()
    with graysplit.Control("memory://django-site") as control:
        control.create("price")
        control.set("price", 30)
    for user in ("user-1", "user-8"):
        print(f"{user}: {Client().get('/price', headers={'x-user': user}).content.decode()}")
