"""The command line: ``demo`` opens the tour or runs it headless, ``check`` judges a model file.

Frameworks and Jupyter are imported only when a command needs them.
"""

from __future__ import annotations

import argparse
import base64
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xai_widgets.cli_check import Parser, add_command
from xai_widgets.errors import DependencyError, XaiError

TOUR = "00_tour.ipynb"
CELL_TIMEOUT_S = 600
QUIET_LAB = (
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
)
# nbconvert's page without the scripts that it loads from the network.
OFFLINE_PAGE = """{% extends "index.html.j2" %}
{% block html_head_js_requirejs %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}"""


class DemoError(XaiError):
    """The demo cannot be opened, or a cell of the tour failed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments
        Words after ``xai-widgets``; None takes them from the command line.

    Returns
    -------
    int
        Exit status: 0 on success, 1 with a sentence on standard error if something went wrong,
        JupyterLab's own when it was opened, and the verdict's for ``check`` (see its --help).
    """
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except XaiError as error:
        sys.stderr.write(f"xai-widgets: {error}\n")
        return 1


def parser() -> argparse.ArgumentParser:
    """The options of every command."""
    top = Parser(prog="xai-widgets", description="Explain vision models.")
    commands = top.add_subparsers(required=True, metavar="command")
    demo = commands.add_parser(
        "demo",
        help="open the tour in JupyterLab, or run it headless",
        description="Open the tour in JupyterLab, or run it headless with --check.",
    )
    demo.add_argument("--port", type=int, default=8888, help="first port to try (default 8888)")
    demo.add_argument("--ip", default="localhost", help="address to listen on (default localhost)")
    demo.add_argument("--no-browser", action="store_true", help="only print the address")
    demo.add_argument("--folder", type=Path, help="copy the notebooks there and open the copy")
    demo.add_argument("--check", action="store_true", help="run the tour without JupyterLab")
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("xai-widgets-check"),
        help="folder for the HTML and PNG files of --check (default xai-widgets-check)",
    )
    demo.set_defaults(run=run_demo)
    add_command(commands)
    return top


def run_demo(options: argparse.Namespace) -> int:
    """Open the tour, or run it headless."""
    return check(options.output) if options.check else open_lab(options)


def open_lab(options: argparse.Namespace) -> int:
    """Open JupyterLab on the tour and wait until it is closed."""
    require("jupyterlab")
    folder, is_checkout = shipped_notebooks()
    if options.folder is not None or not is_checkout:
        folder = copy_notebooks(folder, options.folder or Path("xai-widgets-demo"))
    words = [f"--ServerApp.root_dir={folder}", f"--LabApp.default_url=/lab/tree/{TOUR}"]
    words += [f"--port={options.port}", f"--ip={options.ip}", *QUIET_LAB]
    if options.no_browser or not has_display():
        words += ["--no-browser"]
    if is_root():
        words += ["--allow-root"]
    from jupyterlab.labapp import LabApp

    with tempfile.TemporaryDirectory() as scratch:
        write_kernelspec(Path(scratch))
        LabApp.launch_instance([*words, f"--KernelSpecManager.kernel_dirs={scratch}"])
    return 0


def check(output: Path) -> int:
    """Run every cell of the tour; write its HTML and its pictures; raise if a cell failed."""
    for package in ("ipykernel", "nbclient", "nbconvert", "nbformat"):
        require(package)
    from nbformat import reads

    source = shipped_notebooks()[0] / TOUR
    notebook: Any = reads(source.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f"The folder {output} cannot be made: {error}.") from error
    failure = execute(notebook)
    pictures = write_pictures(notebook, output)
    page = output / f"{source.stem}.html"
    page.write_text(to_html(notebook), encoding="utf-8")
    if failure is not None:
        raise DemoError(f"{failure} The notebook as far as it ran is in {page}.")
    sys.stdout.write(f"Every cell of {TOUR} ran: {page} and {len(pictures)} pictures.\n")
    return 0


def execute(notebook: Any, name: str = TOUR) -> str | None:
    """Run a notebook in place with this Python as its kernel; ``name`` is for the message.

    Returns
    -------
    str or None
        A sentence that names the failing cell and its error, or None if every cell ran.
    """
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    started: list[int] = []
    with tempfile.TemporaryDirectory() as scratch:
        write_kernelspec(Path(scratch) / "kernels")
        specs = KernelSpecManager(kernel_dirs=[str(Path(scratch) / "kernels")])
        client = NotebookClient(
            notebook,
            km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs),
            timeout=CELL_TIMEOUT_S,
            store_widget_state=False,  # else the page would load widgets from the network
            resources={"metadata": {"path": scratch}},  # files that a cell writes go there
            on_cell_start=lambda cell, cell_index: started.append(cell_index),
        )
        try:
            client.execute(stderr=subprocess.DEVNULL)  # what the kernel says about its start
        except CellExecutionError as error:
            reason = f"{error.ename}: {error.evalue}".strip().splitlines()[0]
        except (CellTimeoutError, DeadKernelError) as error:
            reason = str(error).strip().splitlines()[0]
        else:
            return None
    if not started:
        return f"The kernel of {name} did not start: {reason}."
    first_line = notebook.cells[started[-1]].source.strip().splitlines()[0]
    return f"Cell {started[-1] + 1} of {name} (`{first_line}`) failed with {reason.rstrip('.')}."


def write_kernelspec(folder: Path) -> None:
    """Describe this Python as the kernel "python3", whatever the user has installed under it."""
    spec = folder / "python3"
    spec.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    text = {"argv": command, "display_name": "Python 3 (xai_widgets)", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(text), encoding="utf-8")


def write_pictures(notebook: Any, output: Path) -> list[Path]:
    """Write every PNG among the outputs as ``00_tour-cell03-1.png``: cell and picture from 1."""
    written = []
    for number, cell in enumerate(notebook.cells, start=1):
        bundles = [item.get("data", {}) for item in cell.get("outputs", [])]
        pictures = [bundle["image/png"] for bundle in bundles if "image/png" in bundle]
        for index, text in enumerate(pictures, start=1):
            path = output / f"{Path(TOUR).stem}-cell{number:02d}-{index}.png"
            path.write_bytes(base64.b64decode(text))
            written.append(path)
    return written


def to_html(notebook: Any) -> str:
    """The executed notebook as one page that loads nothing; a widget shows its picture."""
    from nbconvert import HTMLExporter

    exporter: Any = HTMLExporter(embed_images=True)  # type: ignore[no-untyped-call]
    exporter.raw_template = OFFLINE_PAGE
    resources = {"metadata": {"name": Path(TOUR).stem}}
    return str(exporter.from_notebook_node(notebook, resources)[0])


def shipped_notebooks() -> tuple[Path, bool]:
    """The folder of the notebooks, and whether it belongs to a checkout (where they are edited)."""
    package = Path(__file__).resolve().parent
    for folder, is_checkout in ((package, False), (package.parent, True)):
        if (folder / "notebooks" / TOUR).is_file():
            return folder / "notebooks", is_checkout
    raise DemoError(
        f"The notebook {TOUR} was found neither in the installed package nor in a checkout: "
        "install xai-widgets again."
    )


def copy_notebooks(source: Path, folder: Path) -> Path:
    """Copy the notebooks into ``folder``; one that is already there is the user's and stays."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for notebook in sorted(source.glob("*.ipynb")):
            if not (folder / notebook.name).exists():
                shutil.copyfile(notebook, folder / notebook.name)
    except OSError as error:
        raise DemoError(
            f"The notebooks cannot be copied to {folder} ({error}): give another --folder."
        ) from error
    return folder.resolve()


def require(package: str) -> None:
    """Raise if a package of the extra "demo" is missing."""
    if importlib.util.find_spec(package) is None:
        raise DependencyError(
            f"The demo needs {package}, which is not installed: run "
            "`pip install 'xai-widgets[demo]'`."
        )


def has_display() -> bool:
    """Whether a browser window can open; without one a text browser would take the terminal."""
    if sys.platform in ("darwin", "win32") or os.environ.get("BROWSER"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def is_root() -> bool:
    """Whether JupyterLab would refuse to start without being told that root is meant."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


if __name__ == "__main__":
    sys.exit(main())
