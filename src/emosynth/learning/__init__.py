"""Step 04: training sets of every arm, learners, and scores on the untouched test split."""

from emosynth.learning.arms import Grower, TrainingSet, arm_variants
from emosynth.learning.run import run_training
from emosynth.learning.scores import Scores, score

__all__ = ["Grower", "Scores", "TrainingSet", "arm_variants", "run_training", "score"]
