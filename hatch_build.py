"""Build hook: put the browser bundles and the notebooks into every way the package is installed.

The bundles in ``xai_widgets/static`` are built from ``js`` and not committed. A checkout builds
them with Node when they are missing or older than their sources; an sdist carries them, so that
installing from it needs no Node.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MIN_NODE = 20
SOURCE_SUFFIXES = {".css", ".js", ".json", ".mjs", ".ts"}
NOT_SOURCES = {"dev", "node_modules", "tests"}


class BundleHook(BuildHookInterface[Any]):
    """Build the bundles where needed, and refuse to make a package without them."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before each sdist, wheel or editable build."""
        root = Path(self.root)
        js, static = root / "js", root / "xai_widgets" / "static"
        carried = (root / "PKG-INFO").is_file()  # only an unpacked sdist has one
        if needs_build(js, static) and not (carried and not missing_bundles(js, static)):
            build_bundles(js)
        if missing := missing_bundles(js, static):
            raise RuntimeError(
                f"The build finished without {', '.join(missing)} in xai_widgets/static: "
                "look at the output of `npm run build` in js/."
            )
        if self.target_name == "wheel" and version != "editable":
            # `xai-widgets demo` opens them; a checkout and an editable install use notebooks/.
            for notebook in sorted((root / "notebooks").glob("*.ipynb")):
                target = f"xai_widgets/notebooks/{notebook.name}"
                build_data["force_include"][str(notebook)] = target


def widget_names(js: Path) -> list[str]:
    """Each folder in ``js/src/widgets`` is a widget with its own bundle."""
    folder = js / "src" / "widgets"
    names = sorted(path.name for path in folder.glob("*") if path.is_dir())
    return names or ["explorer"]


def missing_bundles(js: Path, static: Path) -> list[str]:
    """File names that the package must contain and does not."""
    wanted = [f"{name}.{suffix}" for name in widget_names(js) for suffix in ("js", "css")]
    return [name for name in wanted if not (static / name).is_file()]


def needs_build(js: Path, static: Path) -> bool:
    """Whether a bundle is missing or any source is newer than the oldest bundle."""
    if missing_bundles(js, static):
        return True
    oldest = min(
        (static / f"{name}.{suffix}").stat().st_mtime
        for name in widget_names(js)
        for suffix in ("js", "css")
    )
    return any(path.stat().st_mtime > oldest for path in sources(js))


def sources(js: Path) -> list[Path]:
    """What the bundles are made from: not the tests, and not the installed packages."""
    top = [path for path in js.glob("*") if path.is_file()]
    below = [
        path
        for folder in js.glob("*")
        if folder.is_dir() and folder.name not in NOT_SOURCES
        for path in folder.rglob("*")
        if path.is_file()
    ]
    return [path for path in top + below if path.suffix in SOURCE_SUFFIXES]


def build_bundles(js: Path) -> None:
    """Install the JavaScript packages if they are not as locked, then bundle."""
    npm = checked_npm(js)
    installed = js / "node_modules" / ".package-lock.json"
    lock = js / "package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        run([npm, "ci", "--omit=dev", "--no-audit", "--no-fund"], js)
    run([npm, "run", "build"], js)


def checked_npm(js: Path) -> str:
    """The path of npm, or an error that says what to install."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (js / "package.json").is_file():
        raise RuntimeError(
            "xai_widgets/static holds no browser bundle and there is no js/ to build it from: "
            "install from a complete checkout, the sdist or the wheel."
        )
    if node is None or npm is None:
        raise RuntimeError(
            "The browser bundles in xai_widgets/static are missing or older than js/, and Node.js "
            f"is not installed: install Node.js >= {MIN_NODE} with npm, or the released wheel."
        )
    found = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(found.strip().lstrip("v").split(".")[0]) < MIN_NODE:
        raise RuntimeError(
            f"Building the browser bundles needs Node.js >= {MIN_NODE}, found {found.strip()}: "
            "install a newer Node.js, or install the released wheel."
        )
    return npm


def run(command: list[str], folder: Path) -> None:
    """Run a step, showing its output only if it fails."""
    # No standard input, so that nothing waits for an answer.
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"`{' '.join(command)}` failed in {folder} "
            f"with exit code {done.returncode}:\n{done.stdout}"
        )
