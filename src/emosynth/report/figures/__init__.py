"""Figures of the report: one file each, found by the registry of pieces."""
