"""Every method with few passes, for tests of what holds for all of them."""

from __future__ import annotations

from typing import Any

from xai_widgets.explainers.registry import BUILT_IN

QUICK: dict[str, dict[str, Any]] = {
    "smoothgrad": {"n_samples": 5},
    "smoothgrad_squared": {"n_samples": 5},
    "vargrad": {"n_samples": 5},
    "integrated_gradients": {"n_steps": 6},
    "expected_gradients": {"n_samples": 6},
    "blur_ig": {"n_steps": 6},
    "guided_ig": {"n_steps": 6},
    "score_cam": {"n_channels": 6},
    "gradient_shap": {"n_samples": 6},
    "shapley_sampling": {"n_superpixels": 12, "n_samples": 2},
    "noise_grad": {"n_weights": 4},
    "fusion_grad": {"n_weights": 2, "n_samples": 3},
    "occlusion": {"window_size": 8, "stride": 4},
    "rise": {"n_masks": 12, "grid_size": 4},
}
"""Parameters that keep a method quick; nothing for those that need a pass or two."""

ALL = tuple(explainer.name for explainer in BUILT_IN)
ATTENTION = tuple(e.name for e in BUILT_IN if "attention" in e.needs)
CONVOLUTIONAL = tuple(name for name in ALL if name not in ATTENTION)
"""What applies to a convolutional network with ReLUs: everything but attention."""
RANDOM = tuple(
    e.name for e in BUILT_IN if "seed" in e.__dataclass_fields__ and e.name not in ATTENTION
)
