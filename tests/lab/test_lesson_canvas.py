"""The lesson canvas in a real JupyterLab: layers in image pixels, frames that do not queue up."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Locator

from tests.lab.page import Lab, LabPage

pytestmark = pytest.mark.lab

CANVAS = """
import numpy as np, xai_widgets as xw
picture = np.full((40, 80, 3), (20, 60, 220), np.uint8)
canvas = xw.lesson_canvas(picture, side=320)
canvas
"""
# Each frame's patch has a colour of its own; what is unseen is noted before each frame.
ANIMATION = """
unseen = []
for step in range(100):
    unseen.append(canvas.pulse.sent - canvas.pulse.shown)
    async with canvas.frame():
        canvas.patch(step % 60, 10, 20, 20, colour=f"rgb({step + 100}, 0, 0)")
        canvas.show(np.eye(4, 8) * step, limit=99, opacity=1)
"""
GREEN = """
with canvas.frame():
    canvas.drawing.fill_style = "lime"
    canvas.drawing.fill_rect(70, 0, 10, 10)
"""
SHOWN = "canvas => canvas.getContext('2d').getImageData({x}, {y}, 1, 1).data[0] === {value}"


def wait_for_pixel(page: LabPage, canvas: Locator, x: int, y: int, value: int) -> None:
    """Wait until the red of a pixel has a value."""
    handle = canvas.element_handle()
    assert handle is not None
    page.page.wait_for_function(SHOWN.format(x=x, y=y, value=value), arg=handle)


def test_layers_lie_in_image_pixels_and_a_hundred_frames_leave_no_queue(lab: Lab) -> None:
    page = lab.open([CANVAS])
    canvas = page.page.locator(".jp-OutputArea-output canvas").first
    canvas.wait_for()
    wait_for_pixel(page, canvas, 310, 150, 20)
    pixels = page.pixels(canvas)
    assert pixels.shape == (160, 320, 4)
    np.testing.assert_array_equal(pixels[80, 160], [20, 60, 220, 255])

    page.add_cell(ANIMATION)
    unseen = page.value("unseen")
    assert len(unseen) == 100
    # From the first answer on, at most two frames are on their way.
    assert page.value("canvas.pulse.shown") > 0, "the browser has not answered beside the cell"
    assert max(unseen) <= 2
    # The last frame is there: its patch begins at 39 of 80 image pixels, four screen pixels each.
    wait_for_pixel(page, canvas, 4 * 45, 4 * 28, 199)
    assert page.value("canvas.pulse.sent - canvas.pulse.shown") <= 2
    pixels = page.pixels(canvas)
    assert tuple(pixels[4 * 35, 4 * 5][:3]) == (20, 60, 220), "where the map is zero: the picture"
    assert (pixels[4 * 5, 4 * 5] != [20, 60, 220, 255]).any(), "the map has a value there"

    # A page that is loaded again gets picture and map from the kernel.
    page.reload()
    canvas = page.page.locator(".jp-OutputArea-output canvas").first
    canvas.wait_for()
    wait_for_pixel(page, canvas, 310, 150, 20)
    page.run(GREEN)
    wait_for_pixel(page, canvas, 4 * 75, 4 * 5, 0)
    assert page.console_errors == []
