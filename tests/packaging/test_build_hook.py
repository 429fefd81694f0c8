"""The build hook bundles when it must, not when it need not, and says what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import hatch_build


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one widget and bundles newer than its sources."""
    for name in ("js/src/widgets/explorer", "js/node_modules", "js/tests", "xai_widgets/static"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "js/package.json").write_text("{}")
    (tmp_path / "js/package-lock.json").write_text("{}")
    (tmp_path / "js/src/widgets/explorer/index.ts").write_text("export default {};")
    for path in tmp_path.rglob("*"):
        os.utime(path, (1000, 1000))
    for suffix in ("js", "css"):
        bundle = tmp_path / f"xai_widgets/static/explorer.{suffix}"
        bundle.write_text("")
        os.utime(bundle, (2000, 2000))
    return tmp_path


@pytest.fixture
def commands(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would be run; a build makes the bundles."""
    ran: list[list[str]] = []

    def run(command: list[str], folder: Path) -> None:
        ran.append(command[1:])
        for suffix in ("js", "css"):
            (checkout / f"xai_widgets/static/explorer.{suffix}").write_text("")

    monkeypatch.setattr(hatch_build, "run", run)
    monkeypatch.setattr(hatch_build, "checked_npm", lambda js: "npm")
    return ran


def build(root: Path, target: str = "wheel") -> dict[str, dict[str, str]]:
    data: dict[str, dict[str, str]] = {"force_include": {}}
    hook = hatch_build.BundleHook(str(root), {}, None, None, str(root), target)  # type: ignore[arg-type]
    hook.initialize("standard", data)
    return data


def test_fresh_bundles_are_kept(checkout: Path, commands: list[list[str]]) -> None:
    build(checkout)
    assert commands == []


@pytest.mark.parametrize("stale", ["js/src/widgets/explorer/index.ts", "js/package.json"])
def test_a_newer_source_builds(checkout: Path, commands: list[list[str]], stale: str) -> None:
    os.utime(checkout / stale, (3000, 3000))
    build(checkout)
    assert [command[0] for command in commands] == ["ci", "run"]


def test_installed_packages_are_kept_while_the_lock_is_older(
    checkout: Path, commands: list[list[str]]
) -> None:
    (checkout / "js/node_modules/.package-lock.json").write_text("{}")
    (checkout / "xai_widgets/static/explorer.css").unlink()
    build(checkout)
    assert commands == [["run", "build"]]


def test_a_newer_test_does_not_build(checkout: Path, commands: list[list[str]]) -> None:
    (checkout / "js/tests/new.test.ts").write_text("")
    build(checkout)
    assert commands == []


def test_an_unpacked_sdist_never_builds(checkout: Path, commands: list[list[str]]) -> None:
    (checkout / "PKG-INFO").write_text("")
    os.utime(checkout / "js/package.json", (3000, 3000))
    build(checkout)
    assert commands == []


def test_notebooks_go_into_the_wheel_alone(checkout: Path, commands: list[list[str]]) -> None:
    (checkout / "notebooks").mkdir()
    notebook = checkout / "notebooks/00_tour.ipynb"
    notebook.write_text("{}")
    included = build(checkout)["force_include"]
    assert included == {str(notebook): "xai_widgets/notebooks/00_tour.ipynb"}
    assert build(checkout, "sdist")["force_include"] == {}


def test_without_node_one_sentence_says_what_to_install(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "xai_widgets/static/explorer.js").unlink()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"Node\.js is not installed: install Node\.js >= 20"):
        build(checkout)


def test_an_old_node_is_named(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "xai_widgets/static/explorer.js").unlink()
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(
        subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 0, stdout="v18.19.0\n")
    )
    with pytest.raises(RuntimeError, match=r"needs Node\.js >= 20, found v18\.19\.0"):
        build(checkout)


def test_without_js_and_bundles_one_sentence_says_so(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(checkout / "js")
    (checkout / "xai_widgets/static/explorer.js").unlink()
    with pytest.raises(RuntimeError, match="install from a complete checkout"):
        build(checkout)
