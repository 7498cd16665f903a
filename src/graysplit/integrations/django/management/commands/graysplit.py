"""`manage.py graysplit ...`: the command line, on the store and namespace of the settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from django.core.management.base import BaseCommand

from graysplit.integrations.django.options import options

_FROM: tuple[tuple[str, str], ...] = (("GRAYSPLIT_URL", "URL"), ("GRAYSPLIT_NAMESPACE", "NAMESPACE"))


class Command(BaseCommand):
    """Hands all words on as they are: the command line knows its own options."""

    help = "Look at splits and change them; all words are the graysplit command's. See: manage.py graysplit --help"
    requires_system_checks: Sequence[str] = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Run the command line with what stands behind `graysplit`; the environment beats the settings."""
        asked = options()
        for variable, key in _FROM:
            if asked.get(key) and not os.environ.get(variable):
                os.environ[variable] = str(asked[key])
        sys.argv = ["graysplit", *argv[2:]]
        import_module("graysplit.cli").main()

    def handle(self, *_: object, **__: object) -> None:
        """Refuse `call_command`: the command line ends its process."""
        raise NotImplementedError("use graysplit.Control in a program; manage.py graysplit is for people")
