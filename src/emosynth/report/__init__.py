"""The last step: figures and the page that people read, made from files of the steps before and from nothing else."""

from emosynth.report.build import Report, build_report
from emosynth.report.figures import figure_names
from emosynth.report.page import draw_figures, regenerate, render_report

__all__ = ["Report", "build_report", "draw_figures", "figure_names", "regenerate", "render_report"]
