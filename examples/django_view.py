"""A method of a Django class-based view, routed: the view stays a class, and Django notices nothing."""

from __future__ import annotations

from typing import Final

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.views import View

import graysplit

STORE: Final = "memory://django"

gray = graysplit.Router(STORE)


class Price(View):
    """`GET /price?user=...`, priced by one of two methods."""

    @gray.route("price", unit=lambda request: request.GET.get("user"))
    def get(self, request: HttpRequest) -> HttpResponse:
        """Price as ever."""
        return HttpResponse(f"old price for {request.GET['user']} in {type(self).__name__}")

    @get.version("new")
    def get_new(self, request: HttpRequest) -> HttpResponse:
        """Price anew."""
        return HttpResponse(f"new price for {request.GET['user']} in {type(self).__name__}")


urlpatterns = [path("price", Price.as_view())]


def main() -> None:
    """Ask as two users, through Django's own test client."""
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="an example's")  # noqa: S106 - not one
    django.setup()
    with graysplit.Control(STORE) as control:
        control.create("price")
        control.set("price", 30)
    gray.wait_ready()
    client = Client()
    for user in ("user-1", "user-8"):
        print(client.get("/price", {"user": user}).content.decode())
    print(f"what the view allows: {client.options('/price')['Allow']}")


if __name__ == "__main__":
    main()
