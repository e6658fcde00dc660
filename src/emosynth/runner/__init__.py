"""The one notebook runner: papermill inside; checked parameters, plain progress, reproducible copies."""

from emosynth.runner.execute import run_stage

__all__ = ["run_stage"]
