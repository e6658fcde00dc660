"""The last step: figures and the pages that people read, made from files of the steps before and from nothing else."""

from emosynth.report.build import Report, build_report
from emosynth.report.figures.base import figure_names, regenerate, show
from emosynth.report.results import restore

__all__ = ["Report", "build_report", "figure_names", "regenerate", "restore", "show"]
