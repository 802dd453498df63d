"""Diagnostics: collect a box's health into a redacted bundle, and read such bundles."""
