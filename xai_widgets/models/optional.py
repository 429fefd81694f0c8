"""Import what is optional, and say which extra brings it where it is missing."""

from importlib import import_module
from typing import Any

from xai_widgets.errors import DependencyError

EXTRAS = {
    "torch": "torch",
    "tensorflow": "tensorflow",
    "keras": "tensorflow",
    "h5py": "tensorflow",
    "onnxruntime": "onnx",
    "transformers": "demo",
    "cv2": "smoothing",
    "quantus": "evaluation",
}


def need(package: str, what: str) -> Any:
    """Return an optional package.

    Parameters
    ----------
    package
        A key of `EXTRAS`.
    what
        What needs it, for the message: "The file model.onnx".

    Raises
    ------
    DependencyError
        If it is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        if error.name is not None and error.name.partition(".")[0] != package:
            raise DependencyError(
                f"{what} needs {package}, which fails to load: {error}."
            ) from error
        raise DependencyError(
            f"{what} needs {package}, which is not installed: run "
            f"`pip install 'xai-widgets[{EXTRAS[package]}]'`."
        ) from error
