"""Where an optimised picture comes from: versions, model, parameters."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from xai_widgets import __version__
from xai_widgets.models.base import ExplainableModel


def provenance_of(
    model: ExplainableModel, method: str, parameters: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
    """Return what is needed to repeat a computation, as JSON-ready values."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "duration_s": round(seconds, 4),
        "versions": {
            "python": platform.python_version(),
            "xai-widgets": __version__,
            "numpy": np.__version__,
            **model.versions,
        },
        "model": model.describe(),
        "method": method,
        "parameters": dict(parameters),
    }


def image_record(model: ExplainableModel, image: Any) -> dict[str, str] | None:
    """Return what tells an image from others; None for none."""
    if image is None:
        return None
    display = model.prepare(image).display
    return {"name": display.name, "hash": display.key}
