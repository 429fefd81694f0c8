"""The Explorer in an open notebook, as a person meets it: lists, tools, sliders, pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from playwright.sync_api import Locator

from tests.lab.page import LabPage

OPTION = '[role="listbox"][aria-label="{list}"] [role="option"][data-value="{value}"]'


class ExplorerPage:
    """One Explorer; ``nth`` picks among several views."""

    def __init__(self, lab_page: LabPage, nth: int = 0) -> None:
        self.lab = lab_page
        self.root = lab_page.page.locator('.xaiw[data-widget="explorer"]').nth(nth)
        self.until_done(0)

    @property
    def revision(self) -> int:
        """The newest job that has ended in this view."""
        return int(self.root.get_attribute("data-revision") or 0)

    def until_done(self, after: int, state: str = "idle") -> None:
        """Wait until a job newer than ``after`` has ended and the widget is in a state."""
        self.root.page.wait_for_function(
            """([root, after, state]) => Number(root.dataset.revision) > after
                && root.dataset.state === state""",
            arg=[self.root.element_handle(), after, state],
        )

    def option(self, listbox: str, value: Any) -> Locator:
        return self.root.locator(OPTION.format(list=listbox, value=value))

    def choose(self, listbox: str, value: Any) -> None:
        """Click an entry of a list and wait for the new picture."""
        before = self.revision
        self.option(listbox, value).click()
        self.until_done(before)

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)

    def tool(self, name: str) -> None:
        self.root.get_by_role("toolbar", name="Region tools").get_by_role(
            "button", name=name, exact=True
        ).click()

    def frame(self, name: str = "Image") -> Locator:
        return self.root.get_by_role("application", name=f"{name} view")

    def at(self, x: float, y: float, frame: str = "Image") -> tuple[float, float]:
        """Page position of a point given as fractions of a view."""
        box = self.frame(frame).bounding_box()
        assert box is not None
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def drag(self, *points: tuple[float, float], frame: str = "Image") -> None:
        """Press at the first point, move through the others, release at the last."""
        mouse = self.root.page.mouse
        mouse.move(*self.at(*points[0], frame=frame))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.at(*point, frame=frame), steps=4)
        mouse.up()

    def pixels(self, name: str) -> np.ndarray:
        return self.lab.pixels(self.root.locator(f"canvas.xaiw-{name}"))
