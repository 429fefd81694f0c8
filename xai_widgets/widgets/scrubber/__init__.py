"""The path scrubber: twin of js/src/widgets/scrubber."""
