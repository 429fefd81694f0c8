"""torch.export programs as `ExplainableModel`, with the modules they were made of."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from xai_widgets.errors import ModelError, sentence
from xai_widgets.models.base import Lock
from xai_widgets.models.carried import Carried
from xai_widgets.models.preprocessing import Preprocess
from xai_widgets.models.torch_files import quiet
from xai_widgets.models.torch_kinds import in_batches_of
from xai_widgets.models.torch_model import TorchModel


class ExportedModel(TorchModel):
    """A ``torch.export.ExportedProgram``.

    `torch.export.unflatten` gives back the modules that the program was made of, under the names
    they had, so that their outputs can be looked at. The batch size and the size of images are
    those of the export where it fixed them.

    Parameters
    ----------
    program
        The program.
    labels, preprocess, input_size, device, lock, carried, output, task
        As in `TorchModel`.
    """

    def __init__(
        self,
        program: torch.export.ExportedProgram,
        labels: tuple[str, ...] | None = None,
        preprocess: Preprocess | None = None,
        input_size: tuple[int, int] | None = None,
        device: str | None = None,
        lock: Lock | None = None,
        carried: Carried | None = None,
        output: str | int | None = None,
        task: str | None = None,
    ) -> None:
        self._program = program
        (batch_size, limit), size = _input_sides(program)
        notes: tuple[str, ...] = ()
        if batch_size is not None:
            notes = (
                f"The program was exported for exactly {batch_size} image"
                f"{'s' if batch_size > 1 else ''} at once: several are passed one batch after the "
                "other. Export it with a dynamic batch for speed.",
            )
        split: Callable[[torch.Tensor], Sequence[torch.Tensor]] | None = None
        if batch_size is not None:
            split = partial(in_batches_of, batch_size)
        elif limit is not None:
            split = partial(torch.split, split_size_or_sections=limit)
        super().__init__(
            _modules_of(program),
            labels,
            preprocess,
            input_size,
            device,
            lock,
            carried=(carried or Carried()).over(Carried(size=size, notes=notes)),
            batches=split,
            output=output,
            task=task,
        )
        self.name = _class_name(program) or "ExportedProgram"
        self.format = "torch-export"

    @property
    def source(self) -> Any:
        """The user's program."""
        return self._program


def _modules_of(program: torch.export.ExportedProgram) -> nn.Module:
    """Return the program as modules, flat where it cannot be unflattened."""
    with quiet():
        try:
            module: nn.Module = torch.export.unflatten(program)
        except Exception:
            with sentence(ModelError, "The exported program cannot be turned into a module"):
                module = program.module()
    for part in module.modules():
        part.training = False  # what it means is settled in the program; eval() is refused
    return module


def _input_sides(
    program: torch.export.ExportedProgram,
) -> tuple[tuple[int | None, int | None], tuple[int, int] | None]:
    """Return (batch size, largest batch) and (height, width) of the input, None where free."""
    names = program.graph_signature.user_inputs
    shapes = [
        node.meta["val"].shape
        for node in program.graph.nodes
        if node.op == "placeholder"
        and node.name in names
        and isinstance(node.meta.get("val"), torch.Tensor)
    ]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise ModelError(
            f"The exported program takes {len(shapes)} tensor{'s' if len(shapes) != 1 else ''}"
            f"{' of shape ' + str(list(shapes[0])) if len(shapes) == 1 else ''}: expected one, "
            "images [N, C, H, W]."
        )
    batch, _, height, width = (
        side if type(side) is int else None  # and not a torch.SymInt
        for side in shapes[0]
    )
    limit = None if batch is not None else _largest(program, shapes[0][0])
    return (batch, limit), None if height is None or width is None else (height, width)


def _largest(program: torch.export.ExportedProgram, side: Any) -> int | None:
    """Return the largest value of a side that is not fixed, None if it has no bound."""
    bounds = program.range_constraints.get(getattr(getattr(side, "node", None), "expr", None))
    try:
        return None if bounds is None else int(bounds.upper)
    except (TypeError, ValueError, OverflowError):
        return None


def _class_name(program: torch.export.ExportedProgram) -> str | None:
    """Return the class name of the module that was exported."""
    for node in program.graph.nodes:
        for path, kind in (node.meta.get("nn_module_stack") or {}).values():
            if path == "":
                return str(kind).rpartition(".")[2].rstrip("'>") or None
    return None
