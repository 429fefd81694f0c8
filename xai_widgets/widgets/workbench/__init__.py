"""The concept workbench: twin of js/src/widgets/workbench."""
