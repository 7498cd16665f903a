"""`python -m graysplit`: the command line."""

from __future__ import annotations

from graysplit.cli import main

if __name__ == "__main__":
    main()
