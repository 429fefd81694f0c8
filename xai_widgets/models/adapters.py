"""The adapter that fits a model object, whatever framework it is of."""

import sys
from typing import Any

from xai_widgets.errors import ModelError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.choosing import choose_task
from xai_widgets.models.opened import Opened


def adapted(
    source: Any,
    opened: Opened | None = None,
    output: str | int | None = None,
    task: str | None = None,
    **options: Any,
) -> ExplainableModel:
    """Return the adapter of a model object; a framework that is not imported made none.

    Parameters
    ----------
    source
        The model object.
    opened
        What its file held, where it came from one.
    output
        Which of several outputs, for Keras and PyTorch.
    task
        What the user says that the model is for.
    options
        labels, preprocess, input_size, device and lock of the adapter.

    Raises
    ------
    ModelError
        If it is no model.
    """
    known: dict[str, Any] = {**options, "carried": None if opened is None else opened.carried}
    given: dict[str, Any] = {} if task is None else {"task": task}
    torch, keras = sys.modules.get("torch"), sys.modules.get("keras")
    if keras is not None and isinstance(source, keras.Model):
        from xai_widgets.models.keras_model import KerasModel

        return KerasModel(source, **options, output=output, **given)
    if torch is not None and isinstance(source, torch.nn.Module):
        from xai_widgets.models.torch_model import TorchModel

        return TorchModel(source, **known, output=output, task=task)
    if torch is not None and isinstance(source, torch.export.ExportedProgram):
        from xai_widgets.models.torch_exported import ExportedModel

        return ExportedModel(source, **known, output=output, task=task)
    if output is not None:
        raise ModelError(
            "output= chooses among the outputs of a Keras or PyTorch model: leave it away here."
        )
    model = _without_graph(source, known)
    sides = (1, 1, 1) if model.task == "segmentation" else (1,)
    model.task = choose_task(task, (*sides, len(model.labels)), model.name)
    return model


def _without_graph(source: Any, known: dict[str, Any]) -> ExplainableModel:
    """Return the adapter of a model object of the other formats."""
    runtime, tf = sys.modules.get("onnxruntime"), sys.modules.get("tensorflow")
    if runtime is not None and isinstance(source, runtime.InferenceSession):
        from xai_widgets.models.onnx_model import OnnxModel

        return OnnxModel(source, **known)
    if tf is not None and isinstance(source, tf.compat.v1.GraphDef):
        from xai_widgets.models.frozen_graph import FrozenGraphModel

        return FrozenGraphModel(source, **known)
    if tf is not None and hasattr(source, "signatures"):
        from xai_widgets.models.saved_model import SavedModel

        return SavedModel(source, **known)
    raise ModelError(
        f"A {type(source).__name__} is not a model that can be loaded: give a torch.nn.Module that "
        "maps images [N, C, H, W] to scores [N, K], a keras.Model, or the path of a model file."
    )
