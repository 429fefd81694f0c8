"""Widgets: one module each, over a shared worker, protocol and array codec."""
