"""SetFit: the sentence encoder tuned on pairs of rows, and logistic regression."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from emosynth.design.rows import Rows, Stage
from emosynth.design.space import FloatArray, Space
from emosynth.learners.base import Learner, LearnerSettings, Resources, Task
from emosynth.learners.choosing import Predictor, as_truth, mixed, with_threshold
from emosynth.learners.linear import fit_linear


class SetFitSettings(LearnerSettings):
    """Settings of SetFit; its own defaults but for the number of steps."""

    steps: int = Field(100, ge=1, description="gradient steps on pairs of rows; half of them have a label in common")
    batch: int = Field(16, ge=1, description="pairs of a step")
    learning_rate: float = Field(2e-5, gt=0)
    max_tokens: int = Field(64, ge=8, description="longer texts are cut")
    c: float = Field(1.0, gt=0, description="inverse strength of the L2 penalty of the logistic regression")


class SetFit(Learner):
    """Few-shot learning without prompts: rows of one label are drawn together, others apart, then a linear head is fitted.

    The encoder learns from hard labels and knows no weights (the package `setfit`); soft labels and weights are the head's. Nothing is
    chosen but the threshold of several labels, on a fifth of the seed that a second training leaves out: the encoder has seen the labels
    of the others.
    """

    name = "setfit"
    label = "SetFit"
    citation = (
        "@article{tunstall2022setfit, title={Efficient Few-Shot Learning Without Prompts}, author={Tunstall, Lewis and Reimers, Nils and "
        "Jo, Unso Eun Seo and Bates, Luke and Korat, Daniel and Wasserblat, Moshe and Pereg, Oren}, journal={arXiv:2209.11055}, year={2022}}"
    )
    Settings: ClassVar[type[BaseModel]] = SetFitSettings
    trained: ClassVar[str] = "pairs"
    own_cores: ClassVar[bool] = True
    embeds: ClassVar[bool] = False
    marker: ClassVar[str] = "X"

    def asks(self, resources: Resources) -> str:
        """Return versions of the packages that train."""
        return f"setfit {version('setfit')}, sentence-transformers {version('sentence-transformers')}"

    def fit(self, stages: Sequence[Stage], task: Task, resources: Resources) -> Predictor:
        """Fit on the last stage."""
        last = stages[-1]
        space = last.space
        rows = mixed(last.rows.take(np.flatnonzero(last.rows.weights > 0)), space)

        def trained(part: Rows) -> Callable[[Sequence[str]], FloatArray]:
            from emosynth.models.features import EmbeddingFeatures

            features = EmbeddingFeatures(self._tuned(part, space, task.random_seed, resources))
            head = fit_linear(self.settings.c, features.fit_transform(part.texts), part, space)
            return lambda texts: head.predict_proba(features.transform(texts))

        return with_threshold(trained, last, rows, task)

    def _tuned(self, rows: Rows, space: Space, seed: int, resources: Resources) -> Callable[[Sequence[str]], Any]:
        """Return the function from texts to embeddings of length 1 after the encoder was tuned."""
        import torch
        from sentence_transformers import SentenceTransformer
        from setfit import SetFitModel, Trainer, TrainingArguments
        from setfit import logging as setfit_log
        from sklearn.linear_model import LogisticRegression
        from transformers.trainer_callback import PrinterCallback, ProgressCallback
        from transformers.utils import logging as transformers_log

        from emosynth.models.transformer import seeded, threads
        from emosynth.text import normalise

        own, truth = self.settings, as_truth(rows.targets, space)
        labels = truth.argmax(axis=1).tolist() if space.single else truth.astype(int).tolist()
        torch.set_num_threads(threads())
        setfit_log.set_verbosity_error()
        transformers_log.disable_progress_bar()
        body = SentenceTransformer(str(resources.encoder), device="cpu", local_files_only=True)
        body.max_seq_length = own.max_tokens
        model = SetFitModel(model_body=body, model_head=LogisticRegression(), multi_target_strategy=None if space.single else "one-vs-rest")
        with tempfile.TemporaryDirectory() as folder, seeded(seed):
            arguments = TrainingArguments(
                output_dir=folder, batch_size=own.batch, max_steps=own.steps, body_learning_rate=own.learning_rate, seed=seed,
                save_strategy="no", logging_strategy="no", report_to="none", show_progress_bar=False,
            )  # fmt: skip
            trainer = Trainer(model=model, args=arguments)
            trainer.st_trainer.args.dataloader_pin_memory = False
            for callback in (ProgressCallback, PrinterCallback):
                trainer.st_trainer.remove_callback(callback)
            trainer.train_embeddings([normalise(text) for text in rows.texts], labels, args=arguments)
        body.eval()

        def embed(texts: Sequence[str]) -> Any:
            clean = [normalise(text) for text in texts]
            return body.encode(clean, batch_size=16, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True)

        return embed
