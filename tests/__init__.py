"""Tests of xai_widgets; the folders mirror the package."""
