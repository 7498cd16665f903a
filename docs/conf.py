"""Make the site of these pages: `make docs`. The pages themselves are written to be read on GitHub."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from graysplit import __version__  # noqa: E402 - below the path of the extension

_PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

project = "graysplit"
author = _PROJECT["authors"][0]["name"]
project_copyright = author
version = release = __version__
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "docs_site"]
exclude_patterns = ["dashboards"]
graysplit_description = _PROJECT["description"]
graysplit_repository = _PROJECT["urls"]["Repository"]
graysplit_ref = "main"  # where links out of these pages lead; for a release its tag: make docs REF=v1.2.3

myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 6  # links lead to headings as they do on GitHub
default_role = "literal"  # docstrings write `names` as Markdown does

autoclass_content = "both"  # a constructor's docstring tells of its parameters
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
add_module_names = False
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"graysplit {__version__}"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "source_repository": f"{graysplit_repository}/",
    "source_branch": "main",
    "source_directory": "docs/",
}
copybutton_prompt_text = "$ "  # of a console block the commands are copied, without what they answer
copybutton_line_continuation_character = "\\"

linkcheck_anchors_ignore_for_url = [r"https://github\.com/.*"]  # GitHub makes them by a script
linkcheck_timeout = 20
linkcheck_retries = 2
