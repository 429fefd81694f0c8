"""What `import xai_widgets as xw` offers, and what it does not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

import xai_widgets as xw


@pytest.mark.parametrize("name", xw.__all__)
def test_every_public_name_can_be_used(name: str) -> None:
    assert getattr(xw, name) is not None
    assert name in dir(xw)


def test_the_public_names_are_all_that_dir_shows() -> None:
    assert set(dir(xw)) == {*xw.__all__, "__version__"}
    assert list(xw.__all__) == sorted(xw.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'xai_widgets' has no attribute 'explian'"):
        xw.explian


@pytest.mark.parametrize(
    "statement",
    [
        "import xai_widgets",
        "import xai_widgets as xw; xw.errors, xw.__version__, dir(xw)",
        "from xai_widgets import load, ImageSet, open_image, Preprocessing, ClassTarget, methods",
        "from xai_widgets import explain, Explanation",
    ],
)
def test_importing_loads_no_framework_and_no_plotting(statement: str) -> None:
    code = (
        f"{statement}\nimport sys\n"
        "heavy = {'torch', 'tensorflow', 'matplotlib.pyplot', 'transformers', 'skimage', 'scipy'}\n"
        "sys.exit(str(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
