"""What pyproject.toml cannot say of the extension: one file for all Pythons from 3.11, the version compiled in.

A free-threaded Python has no limited API before 3.15: there it is built for that version alone.
GRAYSPLIT_SPEED_STRICT=1 makes a warning an error, as every build of the project itself does.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tomllib
from pathlib import Path

from setuptools import Extension, setup

VERSION = tomllib.loads(Path(__file__).with_name("pyproject.toml").read_text("utf-8"))["project"]["version"]
LIMITED = not sysconfig.get_config_var("Py_GIL_DISABLED")
FLAGS = ["/std:c11"] if sys.platform == "win32" else ["-std=c11", "-fvisibility=hidden"]
if sys.platform != "win32" and "-g" not in os.environ.get("CFLAGS", ""):
    FLAGS.append("-g0")  # Python's own flags ask for what only a debugger reads: two thirds of the file
STRICT = ["-Wall", "-Wextra", "-Werror"] if os.environ.get("GRAYSPLIT_SPEED_STRICT") else []

setup(
    ext_modules=[
        Extension(
            "graysplit_speed.core",
            ["src/graysplit_speed/core.c"],
            define_macros=[("GRAYSPLIT_VERSION", VERSION), *([("Py_LIMITED_API", "0x030B0000")] if LIMITED else [])],
            extra_compile_args=[*FLAGS, *STRICT],
            py_limited_api=LIMITED,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED else {},
)
