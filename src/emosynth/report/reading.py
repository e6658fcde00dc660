"""How to read the report: intervals, verdicts, what the words mean, and what this profile can and cannot show."""

from __future__ import annotations

from typing import Any, cast

from emosynth import pieces
from emosynth.design.arms import resolve_arm
from emosynth.evidence.numbers import count, level, listed, per_cent, some
from emosynth.guides.base import Guide
from emosynth.params import Arm, Params
from emosynth.report.provenance import public
from emosynth.report.tables import Tables

INTRO = (
    "A number here is never alone: an interval says how far it may be off, a verdict whether that decides anything. "
    "This page says how to read both, and what each word means."
)

_OUTCOMES = (
    ("better", "What was compared differs in the direction of “more”, and chance alone is an unlikely reason. It supports a claim of more."),
    ("worse", "The same the other way. It contradicts a claim of more."),
    ("equivalent", "The difference is shown to be smaller than the margin. This is a finding; it contradicts a claim of more."),
    ("too imprecise", "The data allow more than one of these, or do once p is corrected. The claim is undecided: no finding, and none of no effect."),
    ("not tested", "The run lacks what is compared, or real posts themselves gain nothing that could be told from zero, so that no way could show anything."),
)  # fmt: skip

_WORDS = (
    ("arm", "One way to grow a seed: what the prompt shows, who writes, which checks, which labels, how the rows are mixed in."),
    ("as written", "An arm's rows without checks."),
    ("cell", "One corpus and one seed size with one classifier."),
    ("corrected p", "A p made larger for all that was tested beside it (Holm), so that one lucky test of many does not count."),
    ("coverage, density", "How much of real text lies near generated text, and how thickly generated text lies where real text is."),
    ("detectability", "How well a classifier tells generated from real text: the area under its curve. A half: it cannot."),
    ("embeddings", "Numbers that a pretrained encoder gives a text; the encoder itself learns nothing here."),
    ("fine-tuned encoder", "The same kind of encoder, trained further on the rows."),
    ("guided", "The prompt shows words or posts of the seed that carry the class."),
    ("headline", "The arm and the classifier that the answer names at the largest seed."),
    ("learner", "A classifier that is trained on an arm's rows and scored on real posts."),
    ("logistic regression, LR", "A linear classifier."),
    ("macro-F1", "The mean over classes of F1, each class counting alike. In points, perfect being a hundred."),
    ("margin", "The smallest difference that would matter: a share of what real posts gain in the same cell."),
    ("naïve", "Rows written from the name of the class alone."),
    ("P", "The share of resamples, widened for what repeats leave open, in which the gain is above zero. Not the chance that it will help you."),
    ("perplexity", "How surprised a language model is by a text; lower is more expected."),
    ("real expansion", "As many further real posts, the yardstick: what you would get by labelling instead of writing."),
    ("repeat", "Everything drawn anew: seed, texts, training."),
    ("seed", "The few labelled posts that we pretend are all there is."),
    ("SHAP values", "How much each word of a post speaks for a class in a classifier."),
    ("soft label", "A probability for every class in place of one class."),
    ("teacher", "A classifier fitted on the seed that checks the class of written texts or gives them soft labels."),
    ("TF-IDF", "Words weighted by how often a post and how seldom the others use them; a linear classifier or trees learn from these."),
    ("token", "A piece of a word, the unit of a language model's work: what a written text costs."),
    ("verified", "What passes all checks of the arm; it is called accepted or kept, too."),
    ("XGBoost", "Boosted decision trees, on TF-IDF."),
)  # fmt: skip

Pairs = list[tuple[str, str]]


def sections(tables: Tables) -> list[tuple[str, str, Pairs]]:
    """Return title, name of the first column, and rows of each table of the page."""
    return [
        ("Numbers", "what stands there", _numbers(tables)), ("Five outcomes of a comparison", "outcome", list(_OUTCOMES)),
        ("What this profile can and cannot show", "about", _limits(tables)), ("Words", "word", list(_WORDS)),
    ]  # fmt: skip


def _numbers(tables: Tables) -> Pairs:
    given = tables.params.evidence
    return [
        ("gain (low to high)", f"What an arm adds to the labels alone, in points of macro-F1, with a {level(tables.params)}: drawn again with other "
         "seeds, texts and test posts of the same corpus, such intervals hold the true gain that often. Another corpus or another language model is not in it."),
        ("its two ends", "If one is below zero, it may not help. If both are above, it looks as if it helps: of many such rows some do by luck, so that only what is “shown” counts. "
         "Read the end nearer to zero first."),
        ("as picked", "The gain of the best of several ways, on the posts that it was picked on. Of many ways that gain nothing one looks good by luck, so that this flatters."),
        ("cross-fitted", "The same without the flattery: each repeat, and each half of the test posts, is judged with the way that the other repeats pick on the "
         "other half. It is what picking gains, not what one way gains. With one repeat there is none."),
        ("shown", f"The cross-fitted gain is above zero with a p below {given.alpha:g}, corrected for all rows of the table. Anything else is “not shown”, which is not “shown not to help”."),
        ("worth in labels", "How many further real labelled posts would have gained as much, read off the curve of real posts alone. The interval has the curve's "
         "own uncertainty in it, and is wide where the curve is flat."),
        ("none shown", "The worth's interval does not lie above zero: it may be no label at all. Below stands the most; “may be over”: no limit is known."),
        ("worth over a number", "The curve of real posts ends there, and the gain lies above it."),
        ("equivalent and cheaper", f"Ways that take fewer tokens and whose difference from the best is shown to be below {per_cent(given.margin)} of what real posts gain."),
        ("texts for … kept", "What checks reject has been paid for, too. Seconds, of one machine, stand on the page on data."),
    ]  # fmt: skip


_ADDED = {
    "none": "nothing is added", "real": "further real posts with their labels", "real-balanced": "further real posts with their labels, as many of each class",
    "unlabelled": "further real posts, labelled by a classifier of the seed", "other-corpora": "rows of other corpora", "file": "rows that others wrote",
}  # fmt: skip


def arms(tables: Tables) -> Pairs:
    """Return each arm that was run with what it is, put together from its choices."""
    return [
        (tables.looks.title(name), f"{text[:1].upper()}{text[1:]}.") for name in tables.params.arms if (text := arm_words(tables, name))
    ]


def arm_words(tables: Tables, name: str) -> str:
    """Return what an arm is, in words, from its choices in the parameters."""
    params, arm = tables.params, tables.params.arms[name]
    said = [_ADDED[arm.add]] if arm.add in _ADDED else [_written(params, name)]
    if arm.plus:
        said.append(f"in equal shares with rows of: {'; '.join(tables.looks.title(part) for part in arm.plus)}")
    if arm.after:
        said.append(f"the classifier learns from {tables.looks.title(arm.after)} first")
    elif arm.mix.order == "first":
        said.append("the classifier learns from them first, then from the seed")
    if arm.add != "none":
        growth = params.generation.growth if arm.growth is None else arm.growth
        said.append(f"{count(arm.rows)} rows in all" if arm.rows is not None else f"{growth:g} row{'s' * (growth != 1)} a seed row")
    elif arm.mix.steps == "both":
        said.append("but the classifier is trained as long as one of two stages")
    labels = {arm.labels: 1.0} if isinstance(arm.labels, str) else arm.labels
    said += [
        text.format(per_cent(float(labels[key])) if isinstance(labels[key], int | float) else "a part")
        for key, text in _LABELS.items()
        if key in labels
    ]
    if arm.mix.weight != 1:
        said.append(f"each counts {arm.mix.weight:g} of a seed row")
    if not arm.mix.balance:
        said.append("classes are not balanced")
    if arm.mix.select != "index":
        said.append("as many rows as the check takes are removed, but at random (a control)")
    return "; ".join(said)


_LABELS = {
    "teacher": "{} of each label is what a classifier of the seed reads", "reader": "{} of each label is what the language model reads",
    "shuffled": "labels are shuffled (a control)", "relabel": "labels are those that a classifier of the seed reads",
}  # fmt: skip
_GUIDES = {
    "shap-tokens": "words that SHAP finds in the seed", "shap-exemplars": "posts that SHAP finds in the seed", "tfidf-tokens": "words that TF-IDF finds",
    "tfidf-exemplars": "posts that TF-IDF finds", "random-exemplars": "posts of the seed", "narrative": "a story and its characters",
    "shap": "words and posts of the seed that SHAP finds", "tfidf": "words and posts of the seed that TF-IDF finds",
    "shap-bias": "words that SHAP finds in the seed (made likelier, not shown)",
}  # fmt: skip
UNGROUNDED = "a situation that the writer makes up, of nobody in particular"
"""What stands in for a story where the guide by narrative shows none: it asks for a situation and goes on from that."""


def guided(params: Params, arm: Arm) -> list[tuple[str, str]]:
    """Return each guide of an arm, by its name and in words: what its settings make of it, not what its kind does as a rule."""
    given: list[Any] = [arm.guide] if isinstance(arm.guide, str) else list(arm.guide)
    if isinstance(arm.guide, str) and arm.guide in params.guides and arm.guide not in _GUIDES:
        given = list(params.guides[arm.guide])  # a set of the user's own has a name, and no words
    found = []
    for item in given:
        name, setting = (item, None) if isinstance(item, str) else next(iter(item.items()))
        guide = None if name in params.guides else cast(Guide, pieces.build("guide", name, setting))
        bare = guide is not None and guide.narrative and not getattr(guide.settings, "grounded", True)
        found.append((name, UNGROUNDED if bare else _GUIDES.get(name, name)))
    return found


def _written(params: Params, name: str) -> str:
    arm, origin = params.arms[name], resolve_arm(params, name).origin
    if origin is not None and origin.edits is not None:
        return f"seed rows slightly changed ({origin.edits.changes or origin.edits.shown_name()}), no language model"
    shown = " and ".join(told for _, told in guided(params, arm))
    who = (
        {"plain": "", "tuned": " by a tuned writer"}.get(arm.writer, f" by the writer {arm.writer}")
        if isinstance(arm.writer, str)
        else " by several writers"
    )
    space = "" if arm.space == "target" else f", for the classes of {arm.space}"
    return f"rows written{who} from {f'the class and {shown}' if shown else 'the name of the class alone'}{space}, checks {arm.checks if isinstance(arm.checks, str) else ', '.join(arm.checks)}"


def _limits(tables: Tables) -> Pairs:
    params, corpora = tables.params, [name for name in tables.params.corpora.names if name in tables.corpora]
    repeats = [f"{name}: {count(params.cells.repeats_of(name))}" for name in corpora]
    several = len(corpora) > 1
    found = [
        ("corpora", f"{some(len(corpora), 'corpus', 'corpora')}: {listed(corpora)}. "
         + ("What holds on all of them may hold elsewhere; what holds on one may not." if several else "It cannot say whether anything holds elsewhere.")),
        ("repeats", f"{'; '.join(repeats)}. A gain as small as the differences between repeats is not shown, however real it is. Rows with fewer say so."),
        ("seed sizes", "; ".join(f"{name}: {listed([count(at) for at in params.cells.sizes_of(name)])} labels" for name in corpora)
         + ". Between them one may read; beyond them nothing is known."),
        ("language model", f"{public('model', params.models.writer.model)} writes. Another may write better or worse: no interval here has that in it."),
        ("classifiers", f"{listed([tables.looks.learner(name) for name in params.learners])}. What helps one may not help another: find yours."),
        ("the claims", "A published claim is judged in the published setting as far as this profile reaches; what stands in for the rest is named in each reading."),
    ]  # fmt: skip
    return found
