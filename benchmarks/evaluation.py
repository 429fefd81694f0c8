"""Curves beside their bare forward passes, and a table of scores beside the same one by Quantus."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import resource
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

import xai_widgets as xw
from benchmarks.attribution import resnet50
from benchmarks.paired import Line, compare, time_in_turn
from benchmarks.tables import Table
from xai_widgets.evaluation import curve

N_STEPS = 100
N_IMAGES = 32
OF_TABLE = ("complexity", "sparseness", "mass_accuracy", "rank_accuracy")
"""What needs no model; pixel-flipping and infidelity come on top."""
N_FLIPS, N_DROPS = 48, 64
METHODS: Mapping[str, Any] = {
    "gradient": {},
    "input_x_gradient": {},
    "smoothgrad": {"n_samples": 16},
    "guided_backprop": {},
    "integrated_gradients": {"n_steps": 32},
    "gradient_shap": {"n_samples": 16, "background": "black"},
    "grad_cam": {},
    "occlusion": {"window_size": 32, "stride": 16},
}


def run(rounds: int = 3) -> list[Line | Table]:
    """Measure everything in this file."""
    return [*curves(rounds), *table(), *memory(), *pedestal(), *sanity(), *shortcut()]


def curves(rounds: int) -> list[Line]:
    """Compare a curve of 100 steps with 101 bare forwards in batches of the same size."""
    models = {
        "ResNet-50": xw.load(resnet50(), input_size=224),
        "demo CNN": xw.demo.model("animals"),
        "Keras demo CNN": xw.demo.model("animals", framework="tensorflow"),
    }
    lines = []
    for title, model in models.items():
        side = model.input_shape[0]
        picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
        explanation = xw.explain(model, picture, "gradient")
        for kind, fill in (("deletion", "mean"), ("insertion", "blur")):

            def ours(
                model: Any = model,
                explanation: Any = explanation,
                kind: Any = kind,
                fill: Any = fill,
            ) -> object:
                return curve(model, explanation, kind, N_STEPS, fill)

            bare = bare_forwards(model, explanation.image.values, N_STEPS + 1)
            seconds = time_in_turn({"ours": ours, "bare": bare}, rounds)
            what = f"{title}, {kind} of {N_STEPS} steps / bare forwards"
            lines.append(compare(what, seconds["ours"], seconds["bare"], 1.1))
    return lines


def bare_forwards(model: xw.ExplainableModel, values: Any, n: int) -> Callable[[], object]:
    """Return the source's own passes over batches made beforehand, and nothing around them."""
    sizes = [model.chunk_size] * (n // model.chunk_size) + [n % model.chunk_size]
    batches = {size: np.repeat(values[None], size, axis=0) for size in set(sizes) if size}
    if model.framework == "tensorflow":
        import tensorflow as tf

        forward = tf.function(lambda batch: model.source(batch, training=False))
        tensors = {size: tf.constant(batch) for size, batch in batches.items()}
        return lambda: [np.asarray(forward(tensors[size])) for size in sizes if size]
    viewed = {size: torch.from_numpy(b).permute(0, 3, 1, 2) for size, b in batches.items()}

    def passes() -> None:
        with torch.no_grad():
            for size in sizes:
                if size:
                    model.source(viewed[size])

    return passes


def table(n_images: int = N_IMAGES, rounds: int = 1) -> list[Line]:
    """Compare 8 methods x 32 images x 6 metrics with Quantus, whose explanations are Captum's."""
    model = xw.demo.model("lesions")
    pictures = xw.demo.dataset("lesions", n=n_images)
    seconds = time_in_turn(
        {
            "ours": lambda: ours_table(model, pictures),
            "Quantus": lambda: quantus_table(model, pictures),
        },
        rounds,
        warm_up=0,
    )
    what = (
        f"{len(METHODS)} methods x {n_images} images x {len(OF_TABLE) + 2} metrics, "
        "ours / Quantus with Captum"
    )
    return [compare(what, seconds["ours"], seconds["Quantus"], 0.5)]


def ours_table(model: xw.ExplainableModel, pictures: Any) -> list[dict[str, Any]]:
    """Evaluate without controls: Quantus has none."""
    asking = (
        xw.evaluation.metric("pixel_flipping", n_steps=N_FLIPS, share=1.0),
        xw.evaluation.metric("infidelity", n_samples=N_DROPS, fill="black"),
    )
    return xw.evaluate(
        model,
        pictures.images,
        [(name, parameters) for name, parameters in METHODS.items()],
        [*OF_TABLE, *asking],
        masks=pictures.masks["lesion"],
        controls=False,
    )


def quantus_table(
    model: xw.ExplainableModel, pictures: Any, explain: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """Let Quantus compute the same scores, each method's maps explained once and handed over."""
    import quantus

    images = [model.prepare(image) for image in pictures.images]
    x = np.stack([image.values.transpose(2, 0, 1) for image in images])
    y = np.asarray(model.outputs(np.stack([image.values for image in images]))).argmax(axis=1)
    s = pictures.masks["lesion"][:, None]
    fixed = {"disable_warnings": True, "normalise": False}
    names = ("Complexity", "Sparseness", "RelevanceMassAccuracy", "RelevanceRankAccuracy")
    kinds = {name: getattr(quantus, name)(abs=True, **fixed) for name in names}
    side = model.input_shape[0]
    kinds["PixelFlipping"] = quantus.PixelFlipping(
        features_in_step=3 * side * side // N_FLIPS, perturb_baseline="black", abs=False, **fixed
    )
    kinds["Infidelity"] = quantus.Infidelity(
        perturb_patch_sizes=[round(side / N_DROPS**0.5)], n_perturb_samples=1, abs=False, **fixed
    )
    found: dict[str, dict[str, Any]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, function in (explain or captum_functions(model)).items():
            starts = range(0, len(x), 8)
            a = np.concatenate(
                [function(model.source, x[i : i + 8].copy(), y[i : i + 8]) for i in starts]
            )
            found[name] = {
                metric: kind(
                    model=model.source,
                    x_batch=x.copy(),
                    y_batch=y,
                    a_batch=a.copy(),
                    s_batch=s,
                    channel_first=True,
                    softmax=False,
                )
                for metric, kind in kinds.items()
            }
    return found


def captum_functions(model: xw.ExplainableModel) -> dict[str, Any]:
    """Return the same methods by Captum, as Quantus wants them: [N, C, H, W] to [N, 1, H, W]."""
    from captum import attr

    layer = model.source.get_submodule(model.recommended_layer)
    black = model.prepare(np.zeros((*model.input_shape[:2], 3), np.uint8)).values
    b = torch.from_numpy(black).permute(2, 0, 1)[None]

    def summed(call: Callable[[Any, Any], Any]) -> Any:
        def explain(model: Any, inputs: Any, targets: Any, **_: Any) -> Any:
            x, y = torch.as_tensor(inputs, dtype=torch.float32), torch.as_tensor(targets)
            return call(x, y).detach().sum(dim=1, keepdim=True).numpy()

        return explain

    source = model.source
    occlusion = {"sliding_window_shapes": (3, 32, 32), "strides": (3, 16, 16), "baselines": b}
    size = model.input_shape[:2]
    return {
        "gradient": summed(lambda x, y: attr.Saliency(source).attribute(x, y, abs=False)),
        "input_x_gradient": summed(lambda x, y: attr.InputXGradient(source).attribute(x, y)),
        "smoothgrad": summed(
            lambda x, y: attr.NoiseTunnel(attr.Saliency(source)).attribute(
                x, nt_samples=16, stdevs=0.6, target=y, abs=False
            )
        ),
        "guided_backprop": summed(lambda x, y: attr.GuidedBackprop(source).attribute(x, y)),
        "integrated_gradients": summed(
            lambda x, y: attr.IntegratedGradients(source).attribute(
                x, b, y, n_steps=33, internal_batch_size=24
            )
        ),
        "gradient_shap": summed(
            lambda x, y: attr.GradientShap(source).attribute(x, b, n_samples=16, target=y)
        ),
        "grad_cam": summed(
            lambda x, y: attr.LayerAttribution.interpolate(
                attr.LayerGradCam(source, layer).attribute(x, y), size, "bilinear"
            )
        ),
        "occlusion": summed(
            lambda x, y: attr.Occlusion(source).attribute(x, target=y, **occlusion)
        ),
    }


def memory(rounds: int = 2) -> list[Line]:
    """Compare the peak of 24 pictures with that of 4, a process each."""
    few, many = ([_peak(n) for _ in range(rounds)] for n in (4, 24))
    return [compare("evaluate, peak memory, 24 pictures / 4", many, few, 1.1)]


def _peak(n: int) -> float:
    command = [sys.executable, "-m", "benchmarks.evaluation", str(n)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def _measure(n: int) -> float:
    pictures = xw.demo.dataset("lesions", n=n)
    methods = ["gradient", "integrated_gradients", "grad_cam"]
    names = ["complexity", "infidelity", "mass_accuracy", "weight_randomisation"]
    model = xw.demo.model("lesions")
    xw.evaluate(model, pictures.images, methods, names, pictures.masks["lesion"])
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


RANKED: Mapping[str, Any] = {
    "gradient": "gradient",
    "smoothgrad": ("smoothgrad", {"n_samples": 10}),
    "guided_backprop": "guided_backprop",
    "integrated_gradients": ("integrated_gradients", {"n_steps": 16}),
    "noise_grad": ("noise_grad", {"n_weights": 10}),
    "fusion_grad": ("fusion_grad", {"n_weights": 5, "n_samples": 4}),
    "grad_cam": "grad_cam",
}


def pedestal(n: int = 12) -> list[Table]:
    """Rank methods by complexity before and after their pedestal is subtracted."""
    rows: list[tuple[object, ...]] = []
    for name in ("lesions", "animals"):
        model, images = xw.demo.model(name), xw.demo.dataset(name, n=n).images
        means: dict[str, dict[str, float]] = {}
        for label, subject in RANKED.items():
            method, parameters = subject if isinstance(subject, tuple) else (subject, {})
            shapes = []
            for image in images:
                explanation = xw.explain(model, image, method, **parameters)
                found = xw.evaluation.distribution(explanation)
                magnitude = xw.normalise(explanation, baseline_quantile=None).map
                middle = float(np.median(magnitude))
                last = float(np.median(xw.normalise(explanation).map))
                shapes.append(
                    {
                        "before": found.entropy_before,
                        "after": found.entropy_after,
                        "pedestal": found.pedestal,
                        "median before": middle,
                        "median after": last,
                        "zeros": found.zeros_before,
                    }
                )
            means[label] = {key: float(np.mean([one[key] for one in shapes])) for key in shapes[0]}
        ranks = {
            when: sorted(means, key=lambda label: means[label][when])
            for when in ("before", "after")
        }
        for label, mean in means.items():
            places = [ranks[when].index(label) + 1 for when in ("before", "after")]
            rows.append((name, label, mean["before"], places[0], mean["after"], places[1],
                         mean["pedestal"], mean["zeros"], mean["median before"],
                         mean["median after"]))  # fmt: skip
    text = (
        f"Entropy of the map in nats, mean over {n} test pictures, before and after the 20 % "
        "quantile of its magnitudes is subtracted, and each method's place (1: least complex). "
        "The distributions in short: the pedestal and the medians as shares of the largest "
        "magnitude, and the share of pixels that are zero to begin with."
    )
    header = ("model", "method", "entropy before", "place", "after", "place", "pedestal",
              "zeros before", "median before", "median after")  # fmt: skip
    return [Table("Complexity and the pedestal", text, header, rows)]


CHECKED: Mapping[str, Any] = {
    "gradient": "gradient",
    "integrated_gradients": ("integrated_gradients", {"n_steps": 16}),
    "grad_cam": "grad_cam",
    "guided_backprop": "guided_backprop",
    "deconvolution": "deconvolution",
    "guided_grad_cam": "guided_grad_cam",
}
EXPECTED = {"guided_backprop": "flagged", **dict.fromkeys(list(CHECKED)[:3], "passes")}


def sanity(n: int = 12) -> list[Line | Table]:
    """Give the sanity verdict on the demo networks, over 12 pictures x 3 draws."""
    rows: list[tuple[object, ...]] = []
    right = []
    cases = [(name, "torch") for name in ("animals", "lesions", "digits")]
    for name, framework in [*cases, ("digits", "tensorflow")]:
        model = xw.demo.model(name, framework=framework)
        images = xw.demo.dataset(name, n=n).images
        for record in xw.evaluation.sanity_verdict(model, images, CHECKED):
            rows.append((name, framework, record["method"], record["value"], record["low"],
                         record["high"], record["absolute"], record["verdict"]))  # fmt: skip
            if record["method"] in EXPECTED:
                right.append(record["verdict"] == EXPECTED[record["method"]])
    share = float(np.mean(right))
    text = (
        "Signed Spearman correlation of the map with that after head and last block were drawn "
        f"anew, mean over {n} pictures x 3 draws with its 95 % interval, and that of magnitudes. "
        "Above 0.5 a method is flagged."
    )
    header = ("model", "framework", "method", "signed", "low", "high", "absolute", "verdict")
    what = "sanity: share of right verdicts on guided backprop, gradient, IG and Grad-CAM"
    line = Line(what, share, share, share, ">= 1", share >= 1)
    return [line, Table("The sanity verdict", text, header, rows)]


def shortcut(n: int = 16) -> list[Line]:
    """Compare where the shortcut model and the honest one look, on the ruler."""
    pictures = xw.demo.dataset("lesions", n=2 * n, ruler="malignant")
    chosen = pictures.labels == 1
    methods = {"grad_cam": "grad_cam", "deep_shap": ("deep_shap", {"background": "blur"})}
    rows = {}
    for name in ("lesions", "lesions-shortcut"):
        records = xw.evaluate(
            xw.demo.model(name), pictures.images[chosen], methods, ["mass_density"],
            pictures.masks["ruler"][chosen], target="malignant", controls=False,
        )  # fmt: skip
        rows[name] = {row["method"]: row for row in xw.evaluation.summarise(records)}
    lines = []
    for method in methods:
        honest, other = rows["lesions"][method], rows["lesions-shortcut"][method]
        ratio = other["mean"] / honest["mean"]
        ends = other["low"] / honest["high"], other["high"] / max(honest["low"], 1e-9)
        what = f"ruler: mass density of {method}, shortcut / honest model"
        lines.append(Line(what, ratio, *ends, ">= 1.5", ratio >= 1.5))
    return lines


if __name__ == "__main__":
    print(_measure(int(sys.argv[1])))
