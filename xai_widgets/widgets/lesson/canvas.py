"""`lesson_canvas`: a picture to draw on from Python, for algorithms of one's own."""

from typing import TYPE_CHECKING, Any

from xai_widgets.errors import DependencyError, MapError
from xai_widgets.explanation import Explanation
from xai_widgets.models.images import open_image

if TYPE_CHECKING:
    from xai_widgets.widgets.lesson.layers import LessonCanvas


def lesson_canvas(
    image: Any, explanation: Explanation | None = None, side: int = 384
) -> "LessonCanvas":
    """Return an ipycanvas `MultiCanvas` of a picture: for animating an algorithm from a loop.

    Three layers lie on each other: the picture, a heat map, and a free drawing in image pixels.

    Parameters
    ----------
    image
        A path, PIL image, array or tensor; see `open_image`.
    explanation
        Shown at the start.
    side
        Of the longer side on the screen, CSS pixels.

    Returns
    -------
    LessonCanvas
        ``.show(heatmap)``, ``.patch(x, y, width, height)``, ``.drawing``, ``.frame()``.

    Raises
    ------
    DependencyError
        If ipycanvas is not installed.
    ImageError
        If the picture cannot be opened.
    MapError
        If the explanation is none.
    """
    try:
        from xai_widgets.widgets.lesson.layers import LessonCanvas
    except ImportError as error:
        raise DependencyError(
            "lesson_canvas draws with ipycanvas, which is not installed; install it with: "
            'pip install "xai-widgets[canvas]", and reload the page.'
        ) from error
    if explanation is not None and not isinstance(explanation, Explanation):
        raise MapError(
            f"The explanation is a {type(explanation).__name__}: give what `explain` returns, or "
            "an array to `show`."
        )
    canvas = LessonCanvas(open_image(image), side)
    if explanation is not None:
        canvas.show(explanation.heatmap, signed=explanation.signed)
    return canvas
