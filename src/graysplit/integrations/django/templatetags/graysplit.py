"""`{% load graysplit %}{% split_version "checkout" as version %}`."""

from __future__ import annotations

from django import template

from graysplit.integrations.django.options import get_router
from graysplit.scope import MISSING, Unit

register = template.Library()


@register.simple_tag
def split_version(split: str, unit: Unit = MISSING) -> str:
    """Return the version of a split, for the request's unit unless another is named."""
    return get_router().choose(split, unit)
