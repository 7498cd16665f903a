"""Find the compiled core, a distribution of its own (graysplit-speed), or say why pure Python runs.

Nothing here decides. A module with a straight line in C asks for `core` once, when it is imported.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import Final

from graysplit.version import __version__

DISTRIBUTION: Final = "graysplit-speed"
OFF: Final = "GRAYSPLIT_PURE"


def find() -> tuple[ModuleType | None, str, bool]:
    """Return the compiled core, or None, why pure Python runs, and whether an installed core was refused. Never raises.

    It is used if it is of this very version, whole, and not turned off.
    """
    if os.environ.get(OFF, "0") not in {"", "0"}:
        return None, f"{OFF} is set", False
    try:
        core = import_module("graysplit_speed.core")
        version = str(core.VERSION)
    except Exception as fault:  # noqa: BLE001 - whatever a broken build raises, pure Python decides alike
        if isinstance(fault, ModuleNotFoundError) and fault.name == "graysplit_speed":
            return None, f"{DISTRIBUTION} is not installed", False
        return _refused(f"{DISTRIBUTION} cannot be imported ({fault})", "pip install --force-reinstall")
    if version != __version__:
        return _refused(f"{DISTRIBUTION} {version} does not match graysplit {__version__}", "pip install")
    return core, "", False


def _refused(fault: str, install: str) -> tuple[None, str, bool]:
    return None, f"{fault}: pure Python runs. Run: {install} {DISTRIBUTION}=={__version__}", True


core: ModuleType | None
core, _reason, _is_refused = find()
refusal: Final = _reason if _is_refused else None  # a sentence with the command that mends it
words: Final = f"compiled {__version__}" if core is not None else f"pure Python: {_reason}"
