"""Why gradients break, in words: a sentence and an advice for each cause."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """What a cause does, for people.

    Attributes
    ----------
    what
        Ends the sentence "The gradient is lost in X: ...".
    advice
        What to do.
    """

    what: str
    advice: str


CAUSES: dict[str, Cause] = {
    "no_grad": Cause(
        "it runs under torch.no_grad(), so autograd does not record it",
        "Take the no_grad block or decorator out of the forward pass; callers who only predict "
        "can put it around the call of the model.",
    ),
    "inference_mode": Cause(
        "it runs under torch.inference_mode(), whose tensors autograd cannot use",
        "Take inference_mode out of the forward pass (and build the model outside of it); callers "
        "who only predict can put it around the call of the model.",
    ),
    "detach": Cause(
        "detach() or .data cuts the tensor off the graph",
        "Remove the call, or keep it for what is only logged.",
    ),
    "numpy": Cause(
        "the values go through NumPy, which no gradient passes",
        "Do the same with the framework's own operations.",
    ),
    "item": Cause(
        "the values become Python numbers by .item(), float() or tolist(), which no gradient "
        "passes",
        "Keep them as tensors.",
    ),
    "argmax": Cause(
        "argmax returns positions, which have no gradient",
        "Return the scores and take argmax of them outside of the model.",
    ),
    "integer": Cause(
        "the values become integers, are rounded or compared, which has no gradient or a zero one",
        "Keep floating-point values up to the scores; round or threshold outside of the model.",
    ),
    "stop_gradient": Cause(
        "tf.stop_gradient cuts the tensor off the graph",
        "Remove the call.",
    ),
    "in_place": Cause(
        "values that the backward pass needs are overwritten by an in-place operation",
        "Write the result to a new tensor (y = y * 2 in place of y.mul_(2) or y[:] = ...).",
    ),
    "frozen_graph": Cause(
        "the graph is frozen or optimised for inference and has no derivatives left",
        "Load the model it was exported from.",
    ),
    "custom_gradient": Cause(
        "an operation there defines no gradient of its own, or a zero one",
        "Give the custom function a backward rule.",
    ),
    "saturated_softmax": Cause(
        "a softmax that is sure of itself has almost no slope",
        "Explain the logits, the values before the softmax.",
    ),
    "saturated": Cause(
        "the activation is saturated, where it is flat",
        "Check input range and preprocessing, and that trained weights are loaded.",
    ),
    "dead": Cause(
        "all of its units are off for this image",
        "Check input range and preprocessing, and that trained weights are loaded.",
    ),
    "vanishing": Cause(
        "every layer before it makes the gradient smaller",
        "Check that trained weights are loaded and that BatchNorm has seen data: untrained "
        "networks often do not react to the picture at all.",
    ),
    "not_finite": Cause(
        "a division by zero, a root or logarithm of zero, or an overflow makes it NaN or infinite",
        "Add a small constant under roots, logarithms and divisions, or compute in float32.",
    ),
    "train_mode": Cause(
        "layers that behave differently in training are in train mode",
        "Call model.eval() before predicting.",
    ),
    "non_determinism": Cause(
        "the same image gives other values each time",
        "Switch random layers off when predicting.",
    ),
    "batch": Cause(
        "an image's values depend on the others of its batch",
        "Use running statistics (eval mode) in normalisation, and no operation across the batch.",
    ),
    "unknown": Cause(
        "its output does not depend on its input through the graph",
        "Look for constants, conversions and custom functions in its forward pass.",
    ),
}
