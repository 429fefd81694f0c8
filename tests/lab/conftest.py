"""A JupyterLab for the whole session, a browser for each test file, and ``lab`` for each test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from scripts.browser import HELP, find
from tests.lab.page import Lab
from tests.lab.server import LabServer

FAILURES = Path(__file__).resolve().parents[2] / "screenshots" / "failures"
OUTCOME = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Remember whether the test failed, for the picture that ``lab`` then takes."""
    report = yield
    if report.when == "call":
        item.stash[OUTCOME] = report.failed
    return report


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """One JupyterLab; tests share it, and kernels only where they ask for ``shared``."""
    server = LabServer(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; not for the session, as Playwright keeps an event loop running."""
    path = find()
    if path is None:
        pytest.fail(HELP, pytrace=False)
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def lab(lab_server: LabServer, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Opens notebooks: ``lab.open(["import xai_widgets as xw", ...])``."""
    lab = Lab(lab_server, browser, plain(request.node.name))
    yield lab
    picture_failure(lab, request.node)
    lab.close()


@pytest.fixture(scope="module")
def lab_of_file(
    lab_server: LabServer, browser: Browser, request: pytest.FixtureRequest
) -> Iterator[Lab]:
    """What ``shared`` gives to each test of a file."""
    lab = Lab(lab_server, browser, plain(request.node.name))
    yield lab
    lab.close()


@pytest.fixture
def shared(lab_of_file: Lab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Opens one notebook for the tests of a file: ``shared.open_once([...])``."""
    yield lab_of_file
    if picture_failure(lab_of_file, request.node):
        lab_of_file.close()


def plain(name: str) -> str:
    return re.sub(r"\W+", "-", name).strip("-")


def picture_failure(lab: Lab, item: pytest.Item) -> bool:
    """Tell whether the test failed, and take a picture of each window then."""
    failed = item.stash.get(OUTCOME, False)
    if failed:
        FAILURES.mkdir(parents=True, exist_ok=True)
        for number, page in enumerate(lab.pages, start=1):
            page.page.screenshot(path=FAILURES / f"{plain(item.name)}-{number}.png")
    return failed
