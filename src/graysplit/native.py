"""Find the compiled core, a distribution of its own (graysplit-speed), or say why pure Python runs.

Nothing here decides. A module with a straight line in C asks for `core` once, when it is imported.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Final

from graysplit.version import __version__

DISTRIBUTION: Final = "graysplit-speed"
OFF: Final = "GRAYSPLIT_PURE"


def find() -> tuple[ModuleType | None, str, str]:
    """Return the compiled core or None, why pure Python runs, and the command that mends a core that is refused.

    It is used if it is of this very version, whole, and not turned off. Never raises.
    """
    if os.environ.get(OFF, "0") not in {"", "0"}:
        return None, f"{OFF} is set", ""
    install = f"{DISTRIBUTION}=={__version__}"
    library = sys.modules["graysplit"]
    try:
        core = import_module("graysplit_speed.core")
        if core.__dict__.setdefault("library", library) is not library:  # a graysplit that was loaded before asks it
            del sys.modules[core.__name__]
            core = import_module(core.__name__)
            core.library = library  # type: ignore[attr-defined]
        version = str(core.VERSION)
    except Exception as fault:  # noqa: BLE001 - whatever a broken build raises, pure Python decides alike
        if isinstance(fault, ModuleNotFoundError) and fault.name == "graysplit_speed":
            return None, f"{DISTRIBUTION} is not installed", ""
        return None, f"{DISTRIBUTION} cannot be imported ({fault})", f"pip install --force-reinstall {install}"
    if version != __version__:
        return None, f"{DISTRIBUTION} {version} does not match graysplit {__version__}", f"pip install {install}"
    return core, "", ""


compiled_core: ModuleType | None
compiled_core, reason, remedy = find()
refusal: Final = f"{reason}: pure Python runs. Run: {remedy}" if remedy else None
words: Final = f"compiled {__version__}" if compiled_core is not None else f"pure Python: {reason}"
