"""`python -m graysplit.cli`, where the script is not on PATH."""

from __future__ import annotations

from graysplit.cli import main

main()
