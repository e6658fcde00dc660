"""Step 07: every arm in every cell trained with every learner on the same budgets, and scored by the same code."""

from emosynth.trials.plan import Trial, plan_trials
from emosynth.trials.run import headline, plain, run_trials
from emosynth.trials.score import published

__all__ = ["Trial", "headline", "plain", "plan_trials", "published", "run_trials"]
