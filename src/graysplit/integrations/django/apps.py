"""The application that Django installs: its checks, template tag and command. It opens no connection."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class GraysplitConfig(AppConfig):
    """graysplit for Django."""

    name = "graysplit.integrations.django"
    label = "graysplit"
    verbose_name = "graysplit"

    def ready(self) -> None:
        """Register the checks, and nothing else: this runs for every command, and in the autoreloader's parent."""
        from graysplit.integrations.django.checks import check_settings

        checks.register(check_settings)
