"""What each model format allows, unless the check of a model says otherwise."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """One row of the format table.

    Attributes
    ----------
    name
        What `ExplainableModel.format` says.
    title
        Its name for people.
    suffixes
        What its files usually end in; files are recognised by their content.
    input_gradients, layers
        Whether gradients reach the input, and whether layers can be looked at, in a word or two.
    verdict
        The verdict unless proven otherwise, "by check" where none can be assumed.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    input_gradients: str
    layers: str
    verdict: str


FORMATS: tuple[Format, ...] = (
    Format(
        "torch",
        "PyTorch",
        (".safetensors", ".pt", ".pth", ".bin", ".ckpt"),
        "yes",
        "yes",
        "explainable",
    ),
    Format(
        "torchscript",
        "TorchScript",
        (".pt", ".pth", ".ts", ".torchscript"),
        "unless frozen",
        "no",
        "input-gradients-only",
    ),
    Format(
        "torch-export",
        "torch.export",
        (".pt2",),
        "yes",
        "yes",
        "explainable",
    ),
    Format("keras", "Keras", (".keras", ".h5", ".hdf5"), "yes", "yes", "explainable"),
    Format(
        "savedmodel",
        "SavedModel",
        (),
        "if it has them",
        "no",
        "input-gradients-only",
    ),
    Format("onnx", "ONNX", (".onnx",), "no", "no", "inference-only"),
    Format("frozen-graph", "Frozen graph (.pb)", (".pb",), "no", "no", "inference-only"),
    Format(
        "converted",
        "Converted from ONNX",
        (),
        "if kept",
        "if kept",
        "by check",
    ),
)


def format_named(name: str) -> Format | None:
    """Return the format with this name, None if there is none."""
    return next((entry for entry in FORMATS if entry.name == name), None)


def only_predicts(name: str) -> bool:
    """Tell whether models of a format never have gradients, which is then no fault of theirs."""
    entry = format_named(name)
    return entry is not None and entry.verdict == "inference-only"
