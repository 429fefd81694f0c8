"""Find a Chrome or Chromium that starts, or install one: prints the path of its executable.

    python scripts/browser.py            # find
    python scripts/browser.py --install  # find, else install: Playwright's, else Debian's as root

The environment variable ``CHROMIUM_PATH`` names a browser to use instead; ``make`` sets it to the
one found here, so that the tests in Python and in TypeScript use the same.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NAMES = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser", "chrome")
APPLICATIONS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
HELP = (
    "No Chrome or Chromium that starts was found, and none could be installed: install one "
    "(Debian: `apt-get install chromium`; elsewhere: `python -m playwright install --with-deps "
    "chromium`), or set CHROMIUM_PATH to the path of its executable."
)


def find() -> str | None:
    """The first browser that starts, or None."""
    named = os.environ.get("CHROMIUM_PATH")
    if named:
        return named if starts(named) else None
    return next((path for path in candidates() if starts(path)), None)


def candidates() -> Iterator[str]:
    """Installed browsers, the system's before Playwright's."""
    yield from (path for name in NAMES if (path := shutil.which(name)))
    yield from (path for path in APPLICATIONS if Path(path).is_file())
    if path := playwright_path():
        yield path


def playwright_path() -> str | None:
    """Where Playwright keeps its own Chromium, if Playwright and the browser are installed."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


def starts(path: str) -> bool:
    """Whether the browser runs at all: Playwright's lacks system libraries on a bare machine."""
    try:
        done = subprocess.run(
            [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def install() -> None:
    """Try each way to get a browser until one starts; what they print goes to standard error."""
    attempt([sys.executable, "-m", "playwright", "install", "chromium"])
    path = playwright_path()
    if path and starts(path):
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        attempt(["apt-get", "update", "-qq"])
        attempt(["apt-get", "install", "-y", "-qq", "chromium"])


def attempt(command: list[str]) -> None:
    """Run a step that may fail, for at most ten minutes."""
    print(f"Looking for a browser: {' '.join(command)}", file=sys.stderr)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=environment, timeout=600
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description="Print the path of a browser for the tests.")
    parser.add_argument("--install", action="store_true", help="install one if none is found")
    arguments = parser.parse_args()
    path = find()
    if path is None and arguments.install and "CHROMIUM_PATH" not in os.environ:
        install()
        path = find()
    if path is None:
        print(HELP, file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
