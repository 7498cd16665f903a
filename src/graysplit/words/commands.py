"""Lines that people copy whole: commands for a shell."""

from __future__ import annotations

from typing import Final

# A line that begins so is for copying, and is never folded.
COPY: Final = "  $ "
