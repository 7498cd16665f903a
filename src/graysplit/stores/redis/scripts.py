"""The Lua scripts, read when first used: source and hash."""

from __future__ import annotations

from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Final, NamedTuple

# Every process runs this again and again: the server makes all that is shared anew each time.
ALONE: Final = frozenset({"beat"})
_FOLDER: Final = Path(__file__).parent.parent / "lua"


class Script(NamedTuple):
    """A script as `EVAL` and `EVALSHA` want it."""

    source: bytes
    sha: str


@cache
def script(name: str) -> Script:
    """Return a script by the name of its file, what the others share put before it."""
    shared = b"" if name in ALONE else (_FOLDER / "shared.lua").read_bytes() + b"\n"
    source = shared + (_FOLDER / f"{name}.lua").read_bytes()
    return Script(source, sha1(source).hexdigest())  # noqa: S324 - Redis names scripts by SHA-1
