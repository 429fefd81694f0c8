"""``xai-widgets check FILE``: a model's verdict as text or JSON, and as the exit status."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from xai_widgets.errors import DependencyError, ModelError, TrustError, XaiError

if TYPE_CHECKING:
    from xai_widgets.models.readiness.report import Report

STATUS = {
    "explainable": 0,
    "input-gradients-only": 1,
    "layer-gradients-only": 1,
    "inference-only": 2,
    "broken": 3,
}
UNLOADABLE = 4
USAGE = 64
EXPLANATION = """exit status:
  0   explainable
  1   input-gradients-only or layer-gradients-only
  2   inference-only: predicts, cannot be explained by gradients
  3   broken: cannot predict; or, whatever the verdict, does not predict what --reference says
      ("ok" in the JSON report is then false)
  4   cannot be loaded, or refused because it holds code (see --trust)
  64  wrong usage of this command

example, in continuous integration:
  xai-widgets check model.pt2 --image cat.png --reference scores.npy --json > report.json"""


class Parser(argparse.ArgumentParser):
    """A parser whose status for wrong usage is not taken for a verdict."""

    usage_status = 2

    def error(self, message: str) -> NoReturn:
        """Print usage and a sentence, and exit."""
        self.print_usage(sys.stderr)
        self.exit(self.usage_status, f"{self.prog}: {message}\n")


def add_command(commands: Any) -> None:
    """Add the command to those of ``xai-widgets``."""
    check = commands.add_parser(
        "check",
        help="say whether a model file can be explained",
        description="Load a model file, run it, go backward, and say what it is fit for.",
        epilog=EXPLANATION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.usage_status = USAGE
    check.add_argument("file", type=Path, help="model file or folder, recognised by its content")
    check.add_argument(
        "--image", type=Path, help="picture to check with (default: a generated one)"
    )
    check.add_argument(
        "--reference",
        type=Path,
        help="what to predict: scores as .npy or .json, or the model file it was exported from",
    )
    check.add_argument(
        "--architecture",
        metavar="MODULE:CALLABLE",
        help="for a file of weights: a function that returns the module they belong to",
    )
    check.add_argument("--trust", action="store_true", help="let code inside of the file run")
    check.add_argument("--labels", type=Path, help="class names, one per line or a JSON list")
    check.add_argument("--input-size", type=int, metavar="N", help="side of the input in pixels")
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    check.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check a model and print the report.

    Returns
    -------
    int
        The exit status of the verdict, that of "broken" where the reference is not met.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's remarks about the processor
    try:
        report = examine(options)
    except XaiError as error:
        if options.json:
            failure = {"verdict": None, "error": str(error), "kind": type(error).__name__}
            sys.stdout.write(json.dumps(failure, indent=2, ensure_ascii=False) + "\n")
        sys.stderr.write(f"xai-widgets: {error}\n")
        return UNLOADABLE
    sys.stdout.write((report.to_json() if options.json else str(report)) + "\n")
    return STATUS[report.verdict] if report.ok else STATUS["broken"]


def examine(options: argparse.Namespace) -> Report:
    """Load what the options name and check it.

    Raises
    ------
    XaiError
        If something cannot be loaded.
    """
    from xai_widgets.models.files import open_file
    from xai_widgets.models.loading import load
    from xai_widgets.models.readiness.checking import check

    architecture = None if options.architecture is None else named(options.architecture)
    labels = None if options.labels is None else read_labels(options.labels)
    try:
        model = load(
            options.file,
            labels=labels,
            input_size=options.input_size,
            trust=options.trust,
            architecture=architecture,
        )
    except (TrustError, DependencyError):
        raise
    except ModelError:
        # A file that opens and then does not predict is a broken model, which the check explains.
        report = check(open_file(options.file, options.trust, architecture).source, options.image)
        if report.verdict == "broken":
            return report
        raise
    reference = None if options.reference is None else read_reference(options, architecture)
    return check(model, options.image, reference)


def named(path: str) -> Callable[[], Any]:
    """Return the callable that "package.module:name" names; modules beside the caller count.

    Raises
    ------
    ModelError
        If there is none.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise ModelError(f"--architecture is {path!r}: give MODULE:CALLABLE, such as nets:small.")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise ModelError(f"--architecture {path!r} cannot be imported: {error}.") from error
    if not callable(found):
        raise ModelError(f"--architecture {path!r} is a {type(found).__name__}: give a function.")
    return found  # type: ignore[no-any-return]


def read_labels(path: Path) -> list[str]:
    """Return class names from a file: a JSON list, or one per line.

    Raises
    ------
    ModelError
        If the file cannot be read or holds anything else.
    """
    text = read_text(path, "--labels")
    try:
        content = json.loads(text)
    except ValueError:
        return [line.strip() for line in text.splitlines() if line.strip()]
    if isinstance(content, dict):
        content = [content.get(str(position)) for position in range(len(content))]
    if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
        raise ModelError(f"{path.name} holds no list of class names: give one name per line.")
    return content


def read_reference(options: argparse.Namespace, architecture: Callable[[], Any] | None) -> Any:
    """Return the scores in a .npy or .json file, else the model in a model file.

    Raises
    ------
    ModelError
        If it cannot be read.
    """
    import numpy as np

    from xai_widgets.models.loading import load

    path: Path = options.reference
    if path.suffix.lower() == ".npy":
        try:
            return np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ModelError(f"--reference {path.name} cannot be read: {error}.") from error
    if path.suffix.lower() == ".json":
        try:
            return np.asarray(json.loads(read_text(path, "--reference")), dtype=np.float32)
        except (ValueError, TypeError) as error:
            raise ModelError(
                f"--reference {path.name} holds no list of scores: {error}."
            ) from error
    return load(path, input_size=options.input_size, trust=options.trust, architecture=architecture)


def read_text(path: Path, option: str) -> str:
    """Return a text file's content.

    Raises
    ------
    ModelError
        If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{option} {path.name} cannot be read: {error}.") from error
