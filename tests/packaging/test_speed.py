"""The compiled core is released with graysplit: one version, one licence."""

from __future__ import annotations

import tomllib
from typing import Any

from graysplit import __version__
from tests.docs.pages import ROOT


def _project(folder: str) -> dict[str, Any]:
    return dict(tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))["project"])


def test_both_have_one_version() -> None:
    """The compiled core takes exactly its own graysplit, and the extra asks for exactly that."""
    assert _project("speed")["version"] == __version__
    assert _project(".")["optional-dependencies"]["speed"] == [f"graysplit-speed=={__version__}"]


def test_both_say_the_same_of_themselves() -> None:
    """Licence, people and addresses are graysplit's, and so are the Pythons that it is for."""
    ours, its = _project("."), _project("speed")
    for field in ("requires-python", "license", "license-files", "authors", "maintainers"):
        assert its[field] == ours[field]
    assert {*its["urls"].items()} - {*ours["urls"].items()} == {("Documentation", its["urls"]["Documentation"])}
    pythons = {item for item in ours["classifiers"] if ":: Python :: 3." in item}
    assert pythons <= {*its["classifiers"]}
    assert (ROOT / "speed/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
