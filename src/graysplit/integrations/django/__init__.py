"""Django 5.2 and later: a middleware, a template tag, system checks, `manage.py graysplit`, a helper for tests.

    INSTALLED_APPS = [..., "graysplit.integrations.django"]
    MIDDLEWARE = [..., "graysplit.integrations.django.GraysplitMiddleware"]
    GRAYSPLIT = {"UNIT": "session:_auth_user_id", "URL": "redis://..."}

The keys of `GRAYSPLIT` are in `graysplit.integrations.django.options`.
"""

from __future__ import annotations

try:
    import django as _django  # noqa: F401 - to say what is missing
except ImportError as missing:
    raise ImportError('graysplit.integrations.django needs Django: pip install "graysplit[django]"') from missing

from graysplit.integrations.django.middleware import GraysplitMiddleware
from graysplit.integrations.django.options import get_router
from graysplit.integrations.django.overrides import override_versions

__all__ = ["GraysplitMiddleware", "get_router", "override_versions"]
