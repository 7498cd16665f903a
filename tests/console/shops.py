"""Three small applications as servers import them: one that mounts a console, and two that have one beside them."""

from __future__ import annotations

from typing import Any

import graysplit

router = graysplit.Router()
shop = router.split("checkout", "old", "new")


def mounted() -> Any:
    """Return an application of FastAPI's with a console, which runs no lifespan of what it mounts."""
    from fastapi import FastAPI

    from graysplit.console import app

    made = FastAPI()
    made.mount("/gray", app())
    return made


def in_flask() -> Any:
    """Return an application of Flask's that answers with the version."""
    from flask import Flask

    made = Flask("shop")
    made.add_url_rule("/<unit>", view_func=shop.choose)
    return made


def in_django() -> Any:
    """Return an application of Django's that answers with the version."""
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
    globals()["urlpatterns"] = [path("<str:unit>", lambda _, unit: HttpResponse(shop.choose(unit)))]
    return get_wsgi_application()
