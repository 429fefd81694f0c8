"""The attention view: twin of js/src/widgets/attention."""
