"""Where an optimised picture comes from: versions, model, parameters."""

from collections.abc import Mapping
from typing import Any

from xai_widgets.models.base import ExplainableModel
from xai_widgets.provenance import origin


def provenance_of(
    model: ExplainableModel, method: str, parameters: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
    """Return what is needed to repeat a computation, as JSON-ready values."""
    return {
        **origin(model, seconds),
        "method": method,
        "parameters": dict(parameters),
    }


def image_record(model: ExplainableModel, image: Any) -> dict[str, str] | None:
    """Return what tells an image from others; None for none."""
    if image is None:
        return None
    display = model.prepare(image).display
    return {"name": display.name, "hash": display.key}
