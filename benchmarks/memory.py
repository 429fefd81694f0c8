"""Peak memory of integrated gradients, each number of steps in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import sys

from benchmarks.paired import Line, compare


def run(rounds: int = 3) -> list[Line]:
    """Compare the peak at 256 steps with that at 16."""
    few = [_peak(16) for _ in range(rounds)]
    many = [_peak(256) for _ in range(rounds)]
    return [compare("IG peak memory, 256 steps / 16 steps", many, few, 1.05)]


def _peak(n_steps: int) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", str(n_steps)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def _measure(n_steps: int) -> float:
    import xai_widgets as xw
    from benchmarks.attribution import pictures, resnet50

    model = xw.load(resnet50(), input_size=224)
    xw.explain(model, pictures(1)[0], n_steps=n_steps, target=3)
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    print(_measure(int(sys.argv[1])))
