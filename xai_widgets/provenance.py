"""What every result says of its making: when, how long, with which versions, of which model."""

import platform
from datetime import UTC, datetime
from typing import Any

import numpy as np

from xai_widgets import __version__
from xai_widgets.models.base import ExplainableModel


def origin(model: ExplainableModel, seconds: float) -> dict[str, Any]:
    """Return when a result was made, in how long, and with what, JSON-ready."""
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
    }
