"""Step transfer: encoders pre-trained on synthetic rows of many emotions, tuned on seeds of target corpora (Shvets 2025)."""

from emosynth.transfer.build import build_transfer
from emosynth.transfer.context import run_context
from emosynth.transfer.explain import explain_rows, text_plot_html
from emosynth.transfer.probe import emotion_embeddings, run_probe
from emosynth.transfer.run import run_transfer

__all__ = ["build_transfer", "emotion_embeddings", "explain_rows", "run_context", "run_probe", "run_transfer", "text_plot_html"]
