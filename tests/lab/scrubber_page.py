"""The path scrubber in an open notebook, as a person meets it."""

from __future__ import annotations

import numpy as np
from playwright.sync_api import Locator, expect

from tests.lab.page import LabPage


class ScrubberPage:
    """One path scrubber; ``nth`` picks among several."""

    def __init__(self, lab_page: LabPage, nth: int = 0, state: str = "idle") -> None:
        self.lab = lab_page
        self.root = lab_page.page.locator('.xaiw[data-widget="scrubber"]').nth(nth)
        expect(self.root).to_have_attribute("data-state", state)

    @property
    def slider(self) -> Locator:
        return self.root.get_by_role("slider", name="Step of the path")

    def jump(self, position: float) -> None:
        self.slider.evaluate(
            "(input, at) => { input.value = at;"
            " input.dispatchEvent(new Event('input', { bubbles: true })); }",
            position,
        )

    def pixels(self, name: str) -> np.ndarray:
        return self.lab.pixels(self.root.locator(f"canvas.xaiw-{name}"))

    @property
    def position(self) -> float:
        """The point on screen, in steps; between whole ones where they are uneven."""
        return float(self.root.locator("canvas.xaiw-heat").get_attribute("data-position") or -1)
