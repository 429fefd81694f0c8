"""`Report`: what the check of a model found, for people, for machines and for notebooks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LEVELS = ("ok", "info", "warning", "error")


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Attributes
    ----------
    level
        "ok", "info", "warning" or "error".
    check
        What was checked: "prediction", "gradient", "layers", "determinism" ...
    text
        One or two sentences.
    advice
        What to do, or None.
    layer
        Where, or None; the model itself is "".
    cause
        A key of `xai_widgets.models.readiness.causes.CAUSES`, or None.
    """

    level: str
    check: str
    text: str
    advice: str | None = None
    layer: str | None = None
    cause: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {
            "level": self.level,
            "check": self.check,
            "text": self.text,
            "advice": self.advice,
            "layer": self.layer,
            "cause": self.cause,
        }


@dataclass(frozen=True)
class LayerReport:
    """One layer, in the order of the forward pass.

    Attributes
    ----------
    gradient_norm
        L2 norm of d score / d output; None if no gradient arrives or it is not finite.
    finite
        False if the output or its gradient is NaN or infinite.
    main, recommended
        As in `xai_widgets.models.base.Layer`.
    faint
        True where a gradient arrives that is zero or orders of magnitude too small.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    gradient_norm: float | None
    finite: bool = True
    main: bool = False
    recommended: bool = False
    faint: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {
            "name": self.name,
            "kind": self.kind,
            "shape": list(self.shape),
            "gradient_norm": self.gradient_norm,
            "finite": self.finite,
            "main": self.main,
            "recommended": self.recommended,
            "faint": self.faint,
        }


@dataclass(frozen=True)
class Report:
    """The result of `xai_widgets.check`.

    Attributes
    ----------
    verdict
        "explainable", "input-gradients-only", "layer-gradients-only", "inference-only" (predicts,
        no usable gradient) or "broken" (cannot predict, or not finite).
    sentence
        The verdict in one or two sentences, and whether the reference is met where one was given.
    model
        "class", "framework", "format", "input_shape", "n_outputs", "preprocessing", "trusted".
    findings
        Worst first.
    layers
        In the order of the forward pass.
    formats
        What every format allows, with the model's own marked by "this".
    versions
        Of the libraries.
    seconds
        How long the check took.
    """

    verdict: str
    sentence: str
    model: Mapping[str, Any]
    findings: tuple[Finding, ...]
    layers: tuple[LayerReport, ...] = ()
    formats: tuple[Mapping[str, Any], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether its predictions can be used.

        False if the model is broken, or does not predict what the reference of the check does. That
        changes no verdict: a wrong export may well be explainable, and its maps then explain what
        it predicts.
        """
        return self.verdict != "broken" and not any(
            finding.check == "reference" and finding.level == "error" for finding in self.findings
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values, without NaN or infinity."""
        return {
            "verdict": self.verdict,
            "ok": self.ok,
            "sentence": self.sentence,
            "model": dict(self.model),
            "findings": [finding.to_dict() for finding in self.findings],
            "layers": [layer.to_dict() for layer in self.layers],
            "formats": [dict(entry) for entry in self.formats],
            "versions": dict(self.versions),
            "seconds": self.seconds,
        }

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the report as JSON, and write it to a file where a path is given."""
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def __str__(self) -> str:
        """Format as text for a terminal."""
        known = self.model
        shape = " x ".join(str(side) for side in known["input_shape"] or ["?"])
        marks = {"ok": "+", "info": "i", "warning": "!", "error": "x"}
        lines = [
            f"{known['class']} ({known['framework']}, {known['format']}): {self.verdict}",
            f"  {self.sentence}",
            f"  input {shape}, {known['n_outputs']} outputs, {known['preprocessing']}",
        ]
        for finding in self.findings:
            lines.append(f"  [{marks[finding.level]}] {finding.text}")
            if finding.advice:
                lines.append(f"      -> {finding.advice}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from xai_widgets.models.readiness.report_html import report_html

        return report_html(self)
