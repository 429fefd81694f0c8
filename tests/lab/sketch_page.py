"""The sketch pad in an open notebook: a hand that draws with mouse, keys or finger."""

from __future__ import annotations

from typing import Any

import numpy as np
from playwright.sync_api import Locator

from tests.lab.page import LabPage

SEVEN = ((0.3, 0.15), (0.72, 0.15), (0.46, 0.88))


class SketchPage:
    """One sketch pad; ``nth`` picks among several views."""

    def __init__(self, lab_page: LabPage, nth: int = 0) -> None:
        self.lab = lab_page
        self.root = lab_page.page.locator('.xaiw[data-widget="sketch"]').nth(nth)
        self.until("root.querySelector('.xaiw-says').textContent !== ''")

    def until(self, condition: str, arg: Any = None) -> None:
        """Wait for a condition on ``root`` and ``arg``, in JavaScript."""
        self.root.page.wait_for_function(
            f"([root, arg]) => {condition}", arg=[self.root.element_handle(), arg]
        )

    def until_answered(self) -> None:
        """Wait until every picture that was sent is answered, and its explanation has ended."""
        self.until(
            "root.dataset.sent === root.dataset.answered && ['idle', 'error'].includes("
            "root.dataset.state)"
        )

    @property
    def frame(self) -> Locator:
        return self.root.get_by_role("application", name="Drawing view")

    @property
    def says(self) -> str:
        return self.root.locator(".xaiw-says").inner_text()

    @property
    def ink(self) -> np.ndarray:
        return self.lab.pixels(self.root.locator("canvas.xaiw-ink"))

    @property
    def heat(self) -> np.ndarray:
        return self.lab.pixels(self.root.locator("canvas.xaiw-overlay"))

    @property
    def seen(self) -> np.ndarray:
        return self.lab.pixels(self.root.locator("canvas.xaiw-seen"))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Page position of a point given as shares of the pad."""
        self.frame.scroll_into_view_if_needed()
        box = self.frame.bounding_box()
        assert box is not None
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def draw(self, *points: tuple[float, float], steps: int = 6) -> None:
        """Draw a stroke with the mouse."""
        mouse = self.root.page.mouse
        mouse.move(*self.at(*points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.at(*point), steps=steps)
        mouse.up()

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)
