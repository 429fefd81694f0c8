"""Opens notebooks in a real JupyterLab, runs them and looks at what they show."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import nbformat
import numpy as np
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, WebSocket, expect

from tests.lab.server import LabServer
from tests.lab.wire import KernelMessage, decode

TIMEOUT_MS = 60_000
KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}

READY = """() => {
  const panel = window.jupyterapp?.shell?.currentWidget;
  return Boolean(panel?.context?.isReady && panel.sessionContext?.isReady
    && panel.sessionContext.session?.kernel?.connectionStatus === "connected"
    && panel.sessionContext.session.kernel.status === "idle");
}"""

EXECUTE = """async (code) => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const future = kernel.requestExecute({ code, store_history: false });
  let text = "";
  let error = null;
  future.onIOPub = ({ header, content }) => {
    if (header.msg_type === "stream") text += content.text;
    if (header.msg_type === "execute_result") text += content.data["text/plain"];
    if (header.msg_type === "error") error = content.traceback.join("\\n");
  };
  await future.done;
  return { text, error };
}"""

RUN_ALL = """async () => {
  const app = window.jupyterapp;
  await app.commands.execute("notebook:run-all-cells");
  const cells = app.shell.currentWidget.content.model.sharedModel.toJSON().cells;
  return cells.flatMap((cell) => cell.outputs ?? [])
    .filter((output) => output.output_type === "error")
    .map((output) => output.traceback.join("\\n"));
}"""

ADD_CELL = """async (code) => {
  const app = window.jupyterapp;
  const notebook = app.shell.currentWidget.content;
  notebook.activeCellIndex = notebook.widgets.length - 1;
  await app.commands.execute("notebook:insert-cell-below");
  notebook.activeCell.model.sharedModel.setSource(code);
  await app.commands.execute("notebook:run-cell");
}"""

START_OVER = """async (n) => {
  const app = window.jupyterapp;
  const notebook = app.shell.currentWidget.content;
  const cells = notebook.model.sharedModel;
  if (cells.cells.length > n) cells.deleteCellRange(n, cells.cells.length);
  notebook.activeCellIndex = n - 1;
  await app.commands.execute("notebook:run-cell");
}"""

PIXELS = """(canvas) => {
  const { width, height } = canvas;
  const bytes = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768)
    text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return { width, height, data: btoa(text) };
}"""

NEXT_FRAMES = (
    "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"
)


class Lab:
    """Makes notebooks and opens each in a browser window of its own."""

    def __init__(self, server: LabServer, browser: Browser, name: str) -> None:
        self.server = server
        self.pages: list[LabPage] = []
        self._notebooks: set[str] = set()
        self._browser = browser
        self._names = (f"{name}-{number}" for number in itertools.count(1))

    def open(
        self,
        notebook_cells: list[str],
        *,
        run: bool = True,
        width: int = 1440,
        height: int = 1000,
        device_pixel_ratio: float = 1,
    ) -> LabPage:
        """Write a notebook with these cells, open it, and run them all unless told otherwise."""
        notebook = new_notebook(
            cells=[new_code_cell(source) for source in notebook_cells],
            metadata={"kernelspec": KERNELSPEC, "language_info": {"name": "python"}},
        )
        path = self.server.folder / f"{next(self._names)}.ipynb"
        nbformat.write(notebook, path)
        return self.open_file(
            path, run=run, width=width, height=height, device_pixel_ratio=device_pixel_ratio
        )

    def open_file(
        self,
        path: Path,
        *,
        run: bool = True,
        width: int = 1440,
        height: int = 1000,
        device_pixel_ratio: float = 1,
    ) -> LabPage:
        """Open a notebook that lies in the server's folder."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, device_scale_factor=device_pixel_ratio
        )
        page = LabPage(context.new_page())
        self.pages.append(page)
        name = path.relative_to(self.server.folder).as_posix()
        self._notebooks.add(name)
        # A workspace of its own, reset: otherwise the tabs of another test come back.
        address = f"{self.server.url}lab/workspaces/{path.stem}/tree/{name}"
        page.page.goto(f"{address}?reset&token={self.server.token}")
        page.wait_until_ready()
        if run:
            page.run_all()
        return page

    def open_once(self, notebook_cells: list[str]) -> LabPage:
        """Open a notebook, or start over in the one that is open: the same cells, the same kernel.

        For tests that look at a widget as it comes: opening JupyterLab and importing a framework
        takes longer than most of them.
        """
        if not self.pages:
            return self.open(notebook_cells)
        page = self.pages[0]
        page.start_over(len(notebook_cells))
        return page

    def close(self) -> None:
        """Close the windows and end their kernels."""
        for page in self.pages:
            page.page.context.close()
        self.pages.clear()
        self.server.shut_kernels_down(self._notebooks)


class LabPage:
    """One notebook in one browser window; ``page`` is Playwright's."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.console_errors: list[str] = []
        self.sent: list[KernelMessage] = []
        self.received: list[KernelMessage] = []
        page.set_default_timeout(TIMEOUT_MS)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.console_errors.append(str(error)))
        page.on("websocket", self._on_websocket)
        page.on("dialog", lambda dialog: dialog.accept())

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.console_errors.append(f"{message.text} ({message.location.get('url')})")

    def _on_websocket(self, socket: WebSocket) -> None:
        if "/channels" not in socket.url:
            return
        for event, messages in (("framesent", self.sent), ("framereceived", self.received)):
            socket.on(cast(Any, event), _recorder(messages))

    # The notebook

    def wait_until_ready(self) -> None:
        """Wait until the notebook is open, its kernel idle and the side bar out of the way."""
        self.page.wait_for_function(READY)
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")
        self.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")

    def run_all(self) -> None:
        """Run every cell; an error in one fails the test with its traceback."""
        errors = self.page.evaluate(RUN_ALL)
        assert not errors, errors[0]

    def add_cell(self, code: str) -> None:
        """Add a cell at the end and run it; its output is part of the page."""
        self.page.evaluate(ADD_CELL, code)

    def start_cell(self, code: str) -> None:
        """Add a cell at the end and start it, without waiting for its end."""
        self.page.evaluate(f"(code) => {{ ({ADD_CELL})(code); }}", code)

    def run(self, code: str) -> str:
        """Run code in the notebook's kernel and return what it prints or gives; no cell is made."""
        result = self.page.evaluate(EXECUTE, code)
        assert result["error"] is None, result["error"]
        return cast(str, result["text"])

    def value(self, expression: str) -> Any:
        """The value of a Python expression in the kernel, by way of JSON."""
        return json.loads(self.run(f"import json as _json\nprint(_json.dumps({expression}))"))

    def command(self, name: str, **arguments: Any) -> None:
        """Execute a command of JupyterLab, such as ``notebook:create-output-view``."""
        script = "([name, given]) => window.jupyterapp.commands.execute(name, given).then(() => {})"
        self.page.evaluate(script, [name, arguments])

    def start_over(self, n_cells: int) -> None:
        """Run the last of the first cells again, for a new widget; those added later go away."""
        self.page.mouse.move(0, 0)
        self.console_errors.clear()
        self.page.evaluate(START_OVER, n_cells)

    def save(self) -> None:
        """Save the notebook."""
        self.command("docmanager:save")

    def reload(self) -> None:
        """Save and load the page again; the kernel stays."""
        self.save()
        self.page.reload()
        self.wait_until_ready()

    def use_theme(self, name: str = "JupyterLab Dark") -> None:
        """Switch JupyterLab's theme."""
        self.command("apputils:change-theme", theme=name)
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-name", name)
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")

    def in_each_theme(self) -> Iterator[str]:
        """Switch to the light theme, then to the dark one, and yield its name."""
        for name in ("JupyterLab Light", "JupyterLab Dark"):
            self.use_theme(name)
            yield name

    # Widgets

    @property
    def widget(self) -> Locator:
        """The root of the first of our widgets."""
        return self.page.locator(".xaiw").first

    def wait_for_state(self, *states: str, timeout_s: float = 60) -> str:
        """Wait until the widget is in one of these states, and return which (``data-state``)."""
        choice = ",".join(f'.xaiw[data-state="{state}"]' for state in states)
        found = self.page.locator(choice).first
        found.wait_for(timeout=timeout_s * 1000)
        return cast(str, self.widget.get_attribute("data-state"))

    def pixels(self, canvas: Locator | str) -> np.ndarray:
        """The pixels of a 2D canvas: uint8 [height, width, 4], RGBA."""
        locator = self.widget.locator(canvas) if isinstance(canvas, str) else canvas
        result = locator.evaluate(PIXELS)
        flat = np.frombuffer(base64.b64decode(result["data"]), dtype=np.uint8)
        return flat.reshape(result["height"], result["width"], 4)

    # The wire

    def comm_messages(self) -> list[KernelMessage]:
        """What widgets have sent to the kernel so far."""
        return [message for message in self.sent if message.type == "comm_msg"]

    def comm_messages_during(self, action: Callable[[], object]) -> list[KernelMessage]:
        """Do something and return what widgets sent to the kernel because of it."""
        self.settle()
        before = len(self.comm_messages())
        action()
        self.settle()
        return self.comm_messages()[before:]

    def settle(self) -> None:
        """Let two frames be drawn and one question to the kernel be answered.

        Frames on a websocket keep their order, so whatever was sent before has been counted then.
        """
        self.page.evaluate(NEXT_FRAMES)
        self.run("None")


def _recorder(messages: list[KernelMessage]) -> Callable[[str | bytes], None]:
    def record(frame: str | bytes) -> None:
        message = decode(frame)
        if message is not None:
            messages.append(message)

    return record
