"""Model collapse: a tuned writer's seed is replaced by its own accepted text, round after round.

After Shumailov et al. (2024, doi:10.1038/s41586-024-07566-y) and Alemohammad et al. (2023, arXiv:2307.01850); that rounds which keep the real
data and all text so far do not collapse is from Gerstgrasser et al. (2024, arXiv:2404.01413). Start from `collapse`.
"""

from emosynth.responsible.collapse.measures import ABOUT, COLUMNS, collapse
from emosynth.responsible.collapse.rounds import KEPT, REPLACED, VARIANTS

__all__ = ["ABOUT", "COLUMNS", "KEPT", "REPLACED", "VARIANTS", "collapse"]
