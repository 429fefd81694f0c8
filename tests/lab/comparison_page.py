"""The comparison in an open notebook, as a person meets it: cells, heads, choosers, studies."""

from __future__ import annotations

import re

import numpy as np
from playwright.sync_api import Locator, expect

from tests.lab.page import TIMEOUT_MS, LabPage

ANY = re.compile(".+")


class ComparisonPage:
    """One comparison; ``nth`` picks among several."""

    def __init__(self, lab_page: LabPage, nth: int = 0, state: str = "idle") -> None:
        self.lab = lab_page
        self.root = lab_page.page.locator('.xaiw[data-widget="comparison"]').nth(nth)
        expect(self.root).to_have_attribute("data-state", state, timeout=TIMEOUT_MS)
        expect(self.root.locator(".xaiw-studies")).to_be_attached()

    def cell(self, key: str) -> Locator:
        """The cell of positions in models, images, methods, layers, targets, as "0.3.1.0.0"."""
        return self.root.locator(f'.xaiw-cell[data-key="{key}"]')

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)

    def radio(self, name: str) -> Locator:
        return self.root.get_by_role("radio", name=name, exact=True)

    def until_drawn(self, *keys: str) -> None:
        """Wait until cells are done and in view, so that their canvases hold their maps."""
        for key in keys:
            expect(self.cell(key)).to_have_attribute("data-state", "done", timeout=TIMEOUT_MS)
            expect(self.cell(key).locator("canvas.xaiw-heat")).not_to_have_attribute("width", "1")
            expect(self.cell(key).locator("canvas.xaiw-heat")).to_have_attribute("data-scale", ANY)

    def heat(self, key: str) -> np.ndarray:
        return self.lab.pixels(self.cell(key).locator("canvas.xaiw-heat"))

    def frame(self, name: str) -> np.ndarray:
        """The pixels of a study's canvas."""
        return self.lab.pixels(self.root.locator(f"canvas.xaiw-{name}"))

    @property
    def keys(self) -> list[str]:
        """The keys of the cells that are made, in the order on screen."""
        keys: list[str] = self.root.locator(".xaiw-cell").evaluate_all(
            "(cells) => cells.map((cell) => cell.dataset.key)"
        )
        return keys

    def heads(self, role: str) -> list[str]:
        """The names of the rows ("rowheader") or columns ("columnheader")."""
        return self.root.locator(f'[role="{role}"] .xaiw-head-name').all_inner_texts()

    def slide(self, name: str, value: float) -> None:
        self.root.get_by_role("slider", name=name, exact=True).evaluate(
            "(input, value) => { input.value = value;"
            " input.dispatchEvent(new Event('input', { bubbles: true })); }",
            value,
        )
