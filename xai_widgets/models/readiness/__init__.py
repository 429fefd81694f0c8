"""Is a model fit to be explained? A verdict, with why and where it is not."""

from xai_widgets.models.readiness.checking import Step, check, check_steps
from xai_widgets.models.readiness.report import Finding, LayerReport, Report

__all__ = ["Finding", "LayerReport", "Report", "Step", "check", "check_steps"]
