"""The readiness panel: twin of js/src/widgets/readiness."""
