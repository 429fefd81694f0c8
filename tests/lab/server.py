"""One JupyterLab for all tests that need one: own folders, a free port, nothing of the user's."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Collection
from pathlib import Path
from typing import Any

from xai_widgets.cli import is_root, write_kernelspec

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 90
# A news question and an update check would cover the page, and ask the network.
DISABLED = {"@jupyterlab/apputils-extension:announcements": True}


class LabServer:
    """A running JupyterLab; ``folder`` is where its notebooks lie."""

    def __init__(self, scratch: Path) -> None:
        self.folder = scratch / "notebooks"
        self.folder.mkdir()
        self.token = secrets.token_hex(16)
        self._scratch = scratch
        self._log = scratch / "server.log"
        self._process = self._start()
        try:
            self.url = self._wait_for_address()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        config = self._scratch / "config"
        (config / "labconfig").mkdir(parents=True)
        (config / "labconfig" / "page_config.json").write_text(
            json.dumps({"disabledExtensions": DISABLED})
        )
        write_kernelspec(self._scratch / "data" / "kernels")
        environment = {
            **os.environ,
            "IPYTHONDIR": str(self._scratch / "ipython"),
            "JUPYTER_CONFIG_DIR": str(config),
            "JUPYTER_DATA_DIR": str(self._scratch / "data"),
            "JUPYTER_PREFER_ENV_PATH": "0",  # our kernel, not one installed beside Python
            "JUPYTER_RUNTIME_DIR": str(self._scratch / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(self._scratch / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self._scratch / "workspaces"),
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])
            ),
        }
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.port=0"]
        command += [f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.folder}"]
        command += ["--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"]
        command += ["--LabApp.news_url=None", "--ip=127.0.0.1"]
        # Kernels are ended at once: to take a framework down in order takes each of them a second.
        command += ["--KernelManager.shutdown_wait_time=0.2"]
        if is_root():
            command += ["--allow-root"]
        with self._log.open("wb") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _wait_for_address(self) -> str:
        # The server writes its address into this file a moment before it listens.
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            for path in (self._scratch / "runtime").glob("jpserver-*.json"):
                try:
                    self.url = str(json.loads(path.read_text())["url"])
                    self.request("status")
                except (json.JSONDecodeError, KeyError, urllib.error.URLError):
                    continue
                return self.url
            time.sleep(0.05)
        raise RuntimeError(f"JupyterLab did not start:\n{self._log.read_text(errors='replace')}")

    def request(self, path: str, method: str = "GET") -> Any:
        """The decoded answer of the server's REST interface."""
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self.url}api/{path}", method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as reply:
            body = reply.read()
        return json.loads(body) if body else None

    def shut_kernels_down(self, notebooks: Collection[str]) -> None:
        """End the kernels of notebooks in the server's folder, and those that belong to none."""
        in_use = set()
        for session in self.request("sessions"):
            if session["path"] in notebooks:
                self.request(f"sessions/{session['id']}", method="DELETE")
            else:
                in_use.add(session["kernel"]["id"])
        for kernel in self.request("kernels"):
            if kernel["id"] not in in_use:
                self.request(f"kernels/{kernel['id']}", method="DELETE")

    def stop(self) -> None:
        """End the server and its kernels."""
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
