"""Whether maps lie where the answer lies: on generated pictures whose deciding parts are known.

The density of a map is the share of its magnitude inside a mask, divided by the mask's share of
the picture: 1 is chance. Two controls say how much of it is the picture's doing and not the
model's: the same method on the same network with random weights, and a Sobel edge map.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

import xai_widgets as xw
from benchmarks.paired import Line
from benchmarks.tables import Table
from xai_widgets.models import Preprocessing

N_IMAGES = 40
GOAL, OVER_CONTROLS, SHORTCUT_GOAL = 2.0, 1.5, 1.5

Map = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Method:
    """A method with its parameters.

    Attributes
    ----------
    name
        In `xw.methods`.
    parameters
        What differs from the defaults; small numbers where many passes change little.
    must
        Whether it has to reach the goals.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    must: bool = False

    @property
    def baseline(self) -> str:
        """The baseline or background, "-" for methods without."""
        named = self.parameters.get("baseline", self.parameters.get("background"))
        return "-" if named is None else str(named)


METHODS = (
    Method("gradient"),
    Method("input_x_gradient"),
    Method("smoothgrad", {"n_samples": 10}),
    Method("smoothgrad_squared", {"n_samples": 10}),
    Method("vargrad", {"n_samples": 10}),
    Method("guided_backprop"),
    Method("deconvolution"),
    Method("guided_grad_cam"),
    Method("integrated_gradients", {"baseline": "black", "n_steps": 16}),
    Method("integrated_gradients", {"baseline": "blur", "n_steps": 16}, must=True),
    Method("expected_gradients", {"background": "blur", "n_samples": 16}),
    Method("blur_ig", {"n_steps": 16}),
    Method("guided_ig", {"baseline": "blur", "n_steps": 16}),
    Method("grad_cam", must=True),
    Method("grad_cam_plus_plus"),
    Method("hires_cam"),
    Method("xgrad_cam"),
    Method("layer_cam"),
    Method("score_cam", {"n_channels": 32}),
    Method("eigen_cam"),
    Method("gradient_shap", {"background": "blur", "n_samples": 16}),
    Method("deep_shap", {"background": "black"}),
    Method("deep_shap", {"background": "blur"}, must=True),
    Method("shapley_sampling", {"baseline": "blur", "n_samples": 2}),
    Method("noise_grad", {"n_weights": 10}),
    Method("fusion_grad", {"n_weights": 5, "n_samples": 4}),
    Method("occlusion", {"baseline": "blur"}),
    Method("rise", {"n_masks": 200}),
    Method("attention_rollout"),
    Method("attention_relevance", must=True),
)


@dataclass(frozen=True)
class Case:
    """A trained model, the same network with random weights, and pictures with masks."""

    title: str
    model: Any
    control: Any
    images: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.bool_]
    targets: Sequence[int]
    judged: bool = True


def run() -> list[Line | Table]:
    """Measure every method on every case, and how the shortcut model gives itself away."""
    cases = [
        _case("lesions", "lesions", "lesion"),
        _case("animals", "animals", "animal"),
        _case("animals", "animals", "animal", architecture="vit"),
        _scenes(),
    ]
    rows: list[Sequence[object]] = []
    lines: list[Line | Table] = []
    for case in cases:
        pairs = zip(case.images, case.masks, strict=True)
        sobel = _median([density(sobel_map(image), mask) for image, mask in pairs])
        for method in METHODS:
            if not _applies(case.model, method):
                continue
            found, random = _density(case.model, case, method), _density(case.control, case, method)
            rows.append((case.title, method.name, method.baseline, found, random, sobel))
            if method.must and case.judged:
                lines += _judged(case.title, method, found, max(random, sobel))
    lines += _shortcut()
    text = (
        f"Median over {N_IMAGES} test pictures of the share of the map's magnitude inside the mask "
        "of what decides the class, divided by the mask's share of the picture; 1 is chance. The "
        "controls: the same method on the same network with random weights, and a Sobel edge map. "
        "A black baseline hides dark lesions: that it fails there is a property of the method."
    )
    header = ("model", "method", "baseline", "density", "random weights", "Sobel")
    return [*lines, Table("Where maps lie", text, header, rows)]


def density(values: Map, mask: Mask) -> float:
    """Return the share of a map's magnitude in a mask, divided by the mask's share of the area."""
    magnitude = np.abs(values, dtype=np.float64)
    total = magnitude.sum()
    return float(magnitude[mask].sum() / total / mask.mean()) if total else 0.0


def sobel_map(picture: npt.NDArray[np.uint8]) -> Map:
    """Return the strength of edges, [H, W]."""
    from skimage.color import rgb2gray
    from skimage.filters import sobel

    return np.asarray(sobel(rgb2gray(picture)), dtype=np.float32)


def _case(name: str, data: str, mask: str, architecture: str = "cnn") -> Case:
    model = xw.demo.model(name, architecture=architecture)
    pictures = xw.demo.dataset(data, n=2 * N_IMAGES, split="test")
    predicted = np.asarray([r["scores"].argmax() for r in model.predict(pictures.images)])
    right = np.flatnonzero(predicted == pictures.labels)[:N_IMAGES]
    return Case(
        f"{name} ({architecture})",
        model,
        randomised(model),
        pictures.images[right],
        pictures.masks[mask][right],
        pictures.labels[right].tolist(),
    )


def _scenes() -> Case:
    """Explain the class of the largest thing in a scene; it may stand there more than once."""
    model = xw.demo.model("scenes")
    pictures = xw.demo.dataset("scenes", n=N_IMAGES, split="test")
    assert pictures.segmentation is not None
    masks = pictures.segmentation == pictures.labels[:, None, None]
    targets = pictures.labels.tolist()
    return Case("scenes", model, randomised(model), pictures.images, masks, targets, judged=False)


def randomised(model: Any) -> Any:
    """Return the same network with weights drawn anew from the same mean and spread, per array."""
    import copy

    import torch

    module = copy.deepcopy(model.source)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            spread = parameter.std(correction=0) if parameter.numel() > 1 else 0.0
            parameter.copy_(parameter.mean() + spread * drawn)
    settings = model.preprocess
    assert isinstance(settings, Preprocessing)
    return xw.load(module, labels=model.labels, preprocessing=settings)


def _applies(model: Any, method: Method) -> bool:
    return any(r["method"] == method.name and r["applicable"] for r in xw.methods(model))


def _density(model: Any, case: Case, method: Method) -> float:
    def one(image: npt.NDArray[np.uint8], mask: Mask, target: int) -> float:
        result = xw.explain(model, image, method.name, target=target, **method.parameters)
        return density(result.heatmap, mask)

    return _median([one(*row) for row in zip(case.images, case.masks, case.targets, strict=True)])


def _median(values: Sequence[float]) -> float:
    return float(statistics.median(values))


def _judged(title: str, method: Method, found: float, control: float) -> list[Line | Table]:
    what = f"{title}: {method.name}, baseline {method.baseline}"
    over = found / control if control else float("inf")
    return [
        Line(f"{what}: density", found, found, found, f">= {GOAL:g}", found >= GOAL),
        Line(
            f"{what}: over controls",
            over,
            over,
            over,
            f">= {OVER_CONTROLS:g}",
            over >= OVER_CONTROLS,
        ),
    ]


def _shortcut() -> list[Line | Table]:
    """Compare the density on the ruler between the shortcut model and the honest one."""
    pictures = xw.demo.dataset("lesions", n=2 * N_IMAGES, split="test", ruler="malignant")
    malignant = np.flatnonzero(pictures.labels == 1)[:N_IMAGES]
    models = {name: xw.demo.model(name) for name in ("lesions-shortcut", "lesions")}
    lines: list[Line | Table] = []
    for method in (method for method in METHODS if method.must):
        if not _applies(models["lesions"], method):
            continue
        densities: dict[str, float] = {}
        for name, model in models.items():
            case = Case(
                name,
                model,
                None,
                pictures.images[malignant],
                pictures.masks["ruler"][malignant],
                [1] * len(malignant),
            )
            densities[name] = _density(model, case, method)
        ratio = densities["lesions-shortcut"] / densities["lesions"]
        what = f"ruler: {method.name}, baseline {method.baseline}, shortcut / honest model"
        lines.append(
            Line(what, ratio, ratio, ratio, f">= {SHORTCUT_GOAL:g}", ratio >= SHORTCUT_GOAL)
        )
    return lines
