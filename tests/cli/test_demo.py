"""``xai-widgets demo`` opens the tour for any user, and ``--check`` tells whether it runs."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from xai_widgets import cli

PICTURE = """
import base64, io
from IPython.display import display
from PIL import Image
buffer = io.BytesIO()
Image.new("RGB", (4, 3), "red").save(buffer, "png")
png = base64.b64encode(buffer.getvalue()).decode()
view = {"version_major": 2, "version_minor": 0, "model_id": "a"}
display({"application/vnd.jupyter.widget-view+json": view, "image/png": png}, raw=True)
"""


@pytest.fixture
def tour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a tour of its own in place of the shipped notebooks."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setattr(cli, "shipped_notebooks", lambda: (folder, False))
    monkeypatch.chdir(tmp_path)
    write_tour(folder, "import sys", "sys.executable", PICTURE)
    return folder


def write_tour(folder: Path, *sources: str) -> None:
    cells = [new_markdown_cell("# Tour"), *(new_code_cell(source) for source in sources)]
    nbformat.write(new_notebook(cells=cells), folder / cli.TOUR)


def test_check_writes_the_page_and_every_picture(
    tour: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "deep" / "output"
    assert cli.main(["demo", "--check", "--output", str(output)]) == 0
    assert sorted(path.name for path in output.iterdir()) == [
        "00_tour-cell04-1.png",
        "00_tour.html",
    ]
    assert (output / "00_tour-cell04-1.png").read_bytes().startswith(b"\x89PNG")
    assert "Every cell of 00_tour.ipynb ran" in capsys.readouterr().out


def test_the_page_of_check_shows_pictures_and_loads_nothing(tour: Path, tmp_path: Path) -> None:
    cli.main(["demo", "--check", "--output", str(tmp_path)])
    page = (tmp_path / "00_tour.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert "<script" not in page
    assert not re.findall(r"<(?:link|img)[^>]*(?:href|src)=.https?:", page)


def test_check_runs_with_this_python_whatever_kernel_the_user_has(
    tour: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "users" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        json.dumps({"argv": ["/no/such/python"], "display_name": "Broken", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "users"))
    assert cli.main(["demo", "--check", "--output", str(tmp_path)]) == 0
    assert sys.executable in (tmp_path / "00_tour.html").read_text(encoding="utf-8")


def test_check_names_the_failing_cell_and_its_error(
    tour: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tour(tour, "x = 1", "x / 0", "never = True")
    assert cli.main(["demo", "--check", "--output", str(tmp_path)]) == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "Cell 3 of 00_tour.ipynb (`x / 0`) failed with ZeroDivisionError" in sentence
    assert (tmp_path / "00_tour.html").is_file()


def test_check_says_when_the_kernel_dies(
    tour: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tour(tour, "import os; os._exit(3)")
    assert cli.main(["demo", "--check", "--output", str(tmp_path)]) == 1
    assert "failed with Kernel died" in capsys.readouterr().err


def test_check_says_when_the_output_folder_cannot_be_made(
    tour: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main(["demo", "--check", "--output", str(tmp_path / "file")]) == 1
    assert "cannot be made" in capsys.readouterr().err


def test_copied_notebooks_keep_what_the_user_wrote(tour: Path, tmp_path: Path) -> None:
    folder = cli.copy_notebooks(tour, tmp_path / "mine")
    (folder / cli.TOUR).write_text("mine")
    cli.copy_notebooks(tour, tmp_path / "mine")
    assert (folder / cli.TOUR).read_text() == "mine"


def answer(address: str, process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the server answers; it prints its address a moment before it listens."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=30) as reply:
                return json.load(reply)
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
            time.sleep(0.05)
    raise AssertionError("the server ended")


def test_demo_prints_an_address_although_its_port_is_taken(tour: Path, tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from xai_widgets import cli
cli.shipped_notebooks = lambda: (Path({str(tour)!r}), False)
sys.exit(cli.main(sys.argv[1:]))
"""
    without_display = {
        name: value
        for name, value in os.environ.items()
        if name not in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    }
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-c", code, "demo", "--port", str(port), "--ip", "127.0.0.1"]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=without_display,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line)
                if match := re.search(r"(http://127[.\d]+):(\d+)(\S+)", line):
                    break
            assert match, "".join(said)
            host, chosen, rest = match.groups()
            assert int(chosen) != port
            assert rest.startswith("/lab/tree/00_tour.ipynb?token=")
            token = rest.split("?")[1]
            listing = answer(f"{host}:{chosen}/api/contents?{token}", process)
            assert [item["name"] for item in listing["content"]] == ["00_tour.ipynb"]
        finally:
            process.terminate()
            process.wait(timeout=30)
