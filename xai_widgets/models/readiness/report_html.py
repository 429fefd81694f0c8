"""A report as HTML for notebooks: no script, all text escaped, readable in light and dark."""

import math
from html import escape

from xai_widgets.models.readiness.report import Finding, LayerReport, Report

COLOURS = {"ok": "#3a8f5c", "info": "#5b7fb5", "warning": "#c08a1e", "error": "#c4473d"}
VERDICT_COLOURS = {
    "explainable": COLOURS["ok"],
    "input-gradients-only": COLOURS["info"],
    "layer-gradients-only": COLOURS["info"],
    "inference-only": COLOURS["warning"],
    "broken": COLOURS["error"],
}
WORDS = {"ok": "good", "info": "note", "warning": "warning", "error": "error"}
DECADES = 8
"""A bar of full width is the largest gradient, one of no width is so many decades smaller."""
ROW = "border-top:1px solid rgba(128,128,128,.3)"
CELL = "padding:2px 8px;text-align:left;vertical-align:top;color:inherit"


def report_html(report: Report) -> str:
    """Return a report as one HTML element."""
    known = report.model
    shape = " × ".join(str(side) for side in known["input_shape"] or ["?"])
    title = f"{known['class']} · {known['framework']} · {known['format']} · input {shape}"
    colour = VERDICT_COLOURS[report.verdict] if report.ok else COLOURS["error"]
    badge = (
        f'<b style="border:1px solid {colour};border-left-width:6px;'
        f'padding:1px 8px;border-radius:3px">{escape(report.verdict.replace("-", " "))}</b>'
    )
    return (
        '<div style="font-size:13px;line-height:1.5;max-width:900px;color:inherit">'
        f"<div>{badge} {escape(report.sentence)}</div>"
        f'<div style="opacity:.75">{escape(title)} · {escape(str(known["preprocessing"]))}</div>'
        f"{_findings(report.findings)}{_layers(report.layers)}</div>"
    )


def _findings(findings: tuple[Finding, ...]) -> str:
    rows = "".join(
        f'<tr style="{ROW};background:none"><td style="{CELL};white-space:nowrap;'
        f'border-left:4px solid {COLOURS[finding.level]}">{WORDS[finding.level]}</td>'
        f'<td style="{CELL}">{escape(finding.text)}{_advice(finding)}</td></tr>'
        for finding in findings
    )
    return f'<table style="border-collapse:collapse;margin:6px 0;width:100%">{rows}</table>'


def _advice(finding: Finding) -> str:
    if not finding.advice:
        return ""
    return f'<div style="opacity:.75">{escape(finding.advice)}</div>'


def _layers(layers: tuple[LayerReport, ...]) -> str:
    if not layers:
        return ""
    largest = max((layer.gradient_norm or 0.0 for layer in layers), default=0.0)
    rows = "".join(
        f'<tr style="{ROW};background:none"><td style="{CELL}">{_name(layer)}</td>'
        f'<td style="{CELL}">{escape(layer.kind)}</td>'
        f'<td style="{CELL}">{escape(" × ".join(map(str, layer.shape)))}</td>'
        f'<td style="{CELL};width:200px">{_bar(layer, largest)}</td>'
        f'<td style="{CELL};font-variant-numeric:tabular-nums">{_number(layer)}</td></tr>'
        for layer in layers
    )
    head = "".join(
        f'<th scope="col" style="{CELL};font-weight:600">{title}</th>'
        for title in ("layer", "kind", "output", "gradient", "norm")
    )
    return (
        f"<details><summary>{len(layers)} layers, gradient norms on a logarithmic scale</summary>"
        '<div style="max-height:420px;overflow:auto">'
        f'<table style="border-collapse:collapse;margin:4px 0"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _name(layer: LayerReport) -> str:
    name = escape(layer.name)
    return f"<b>{name}</b> (recommended)" if layer.recommended else name


def _bar(layer: LayerReport, largest: float) -> str:
    if not layer.gradient_norm or largest <= 0:
        return ""
    decades = math.log10(layer.gradient_norm / largest)
    width = max(1.0, 100 * (1 + decades / DECADES))
    colour = COLOURS["error" if layer.faint else "info"]
    return (
        f'<div style="width:{width:.0f}%;height:9px;margin-top:5px;background:{colour};'
        'border-radius:2px"></div>'
    )


def _number(layer: LayerReport) -> str:
    if not layer.finite:
        return "NaN or infinite"
    if layer.gradient_norm is None:
        return "none"
    return f"{layer.gradient_norm:.2e}" if layer.gradient_norm else "0"
