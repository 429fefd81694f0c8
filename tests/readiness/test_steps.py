"""The check goes in steps: progress between them, the model free, and given up without a trace."""

from __future__ import annotations

import threading

import numpy as np
import torch
from torch import nn

import xai_widgets as xw
from tests.models.nets import Residual, seeded
from xai_widgets.models.readiness import Step, check_steps


def steps_of(model: xw.ExplainableModel, **options: object) -> tuple[list[Step], xw.Report]:
    steps = check_steps(model, **options)
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            return seen, end.value


def test_steps_count_to_their_total_and_end_in_the_report_of_check() -> None:
    model = xw.load(seeded(Residual), input_size=32)
    seen, report = steps_of(model)
    assert [step.done for step in seen] == list(range(len(seen)))
    assert {step.total for step in seen} == {len(seen)}
    assert len({step.text for step in seen}) == len(seen)
    whole = xw.check(model)
    assert report.findings == whole.findings
    assert (report.verdict, report.sentence) == (whole.verdict, whole.sentence)


def test_train_mode_and_a_reference_are_steps_of_their_own() -> None:
    module = seeded(Residual)
    plain = len(steps_of(xw.load(module, input_size=32))[0])
    module.train()
    model = xw.load(module, input_size=32)
    reference = np.zeros(len(model.labels), np.float32)
    seen, _ = steps_of(model, reference=reference)
    assert len(seen) == plain + 2
    assert seen[-1].text == "Asking the reference"


def test_between_two_steps_the_model_is_free_for_others() -> None:
    model = xw.load(seeded(Residual), input_size=32)
    steps = check_steps(model)
    next(steps)
    next(steps)
    free = []

    def take() -> None:
        free.append(model.lock.acquire(timeout=30))
        model.lock.release()

    other = threading.Thread(target=take)
    other.start()
    other.join()
    assert free == [True]
    steps.close()


def test_a_check_that_is_given_up_leaves_the_model_as_it_was() -> None:
    module: nn.Module = seeded(Residual)
    module.train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    model = xw.load(module, input_size=32)
    for n in range(1, 4):
        steps = check_steps(model)
        for _ in range(n):
            next(steps)
        steps.close()
    assert all(part.training for part in module.modules())
    assert all(not part._forward_hooks for part in module.modules())
    assert all(tensor.grad is None for tensor in module.parameters())
    after = module.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
