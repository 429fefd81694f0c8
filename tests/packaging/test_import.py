"""``import xai_widgets`` is light: no framework, no pyplot, and next to no time."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "tensorflow", "matplotlib.pyplot", "transformers", "sklearn", "skimage", "scipy")


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["xai_widgets", "xai_widgets.cli"])
def test_import_loads_no_framework(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    assert not set(json.loads(run_python(code))) & set(HEAVY)


def test_import_takes_under_half_a_second_beyond_ipywidgets() -> None:
    code = """
import time, ipywidgets, anywidget
start = time.perf_counter()
import xai_widgets
print(time.perf_counter() - start)
"""
    # The best of several: a busy machine can only make an import slower.
    assert min(float(run_python(code)) for _ in range(5)) < 0.5
