"""The sdist and the wheel hold what they must, and the wheel works in an empty environment."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, Installation

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(600)]

BUNDLE_LIMIT_BYTES = 100 * 1024
WEIGHTS_LIMIT_BYTES = 4_000_000
BUNDLES = tuple(
    f"{name}.{suffix}"
    for name in ("attention", "explorer", "gallery", "readiness", "report", "scrubber")
    for suffix in ("js", "css")
)


def names_in_sdist(sdist: Path) -> list[str]:
    with tarfile.open(sdist) as archive:
        return [member.name.split("/", 1)[-1] for member in archive.getmembers()]


def test_sdist_carries_the_bundles_and_their_sources(sdist: Path) -> None:
    names = names_in_sdist(sdist)
    wanted = {f"xai_widgets/static/{bundle}" for bundle in BUNDLES}
    wanted |= {"pyproject.toml", "hatch_build.py", "LICENSE", "README.md", "js/package-lock.json"}
    assert wanted <= set(names)


def test_sdist_leaves_out_what_is_installed_or_generated(sdist: Path) -> None:
    parts = {part for name in names_in_sdist(sdist) for part in Path(name).parts}
    assert not parts & {
        "node_modules",
        ".venv",
        ".git",
        "__pycache__",
        ".mypy_cache",
        "screenshots",
    }


def test_sdist_is_small(sdist: Path) -> None:
    assert sdist.stat().st_size < 12_000_000


def test_wheel_carries_bundles_types_and_notebooks(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    notebooks = {f"xai_widgets/notebooks/{path.name}" for path in ROOT.glob("notebooks/*.ipynb")}
    assert {f"xai_widgets/static/{bundle}" for bundle in BUNDLES} <= names
    assert notebooks <= names
    assert "xai_widgets/py.typed" in names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"xai_widgets"}


def test_weights_in_the_wheel_stay_small(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sizes = [
            item.file_size for item in archive.infolist() if item.filename.endswith(".safetensors")
        ]
    assert sizes, "the wheel holds no demo weights"
    assert sum(sizes) < WEIGHTS_LIMIT_BYTES


def test_installed_package_imports_and_holds_its_bundles(installation: Installation) -> None:
    code = """
import importlib.metadata, importlib.resources, json, sys, xai_widgets
static = importlib.resources.files("xai_widgets") / "static"
sizes = {item.name: len(item.read_bytes()) for item in static.iterdir()}
versions = [xai_widgets.__version__, importlib.metadata.version("xai-widgets")]
print(json.dumps([xai_widgets.__file__, versions, sizes, "torch" in sys.modules]))
"""
    file, versions, sizes, torch = json.loads(installation.run("python", "-c", code))
    assert Path(file).is_relative_to(installation.folder)
    assert versions[0] == versions[1]
    assert not torch
    for bundle in BUNDLES:
        assert 0 < sizes[bundle] <= BUNDLE_LIMIT_BYTES, f"{bundle} has {sizes[bundle]} bytes"


def test_installed_command_says_which_extra_is_missing(installation: Installation) -> None:
    assert "demo" in installation.run("xai-widgets", "--help")
    code = """
from xai_widgets import cli
try:
    cli.require("jupyterlab")
except cli.DependencyError as error:
    print(error)
"""
    assert "pip install 'xai-widgets[demo]'" in installation.run("python", "-c", code)
