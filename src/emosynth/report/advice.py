"""What to do with n labelled posts: the answer in a sentence, three rules, and a table by corpus, seed size and kind of learner."""

from __future__ import annotations

from typing import Any, cast

from emosynth import pieces
from emosynth.evidence.contrasts import LEAST, model_writes, usable
from emosynth.evidence.numbers import (
    chance,
    count,
    gain,
    gain_span,
    gain_words,
    known,
    labels_worth,
    listed,
    p_text,
    score,
    some,
    told,
)
from emosynth.learners.base import Learner
from emosynth.params import Params
from emosynth.report.figures.base import rows_of
from emosynth.report.tables import Tables, main_rows

MOST = 3
"""Rows of the table that a rule repeats, at most."""


def answer(tables: Tables) -> str:
    """Return the answer for the target: what picking the best way gains, cross-fitted, at every seed size, and what that is worth."""
    if tables.told is None:
        return "This run holds no trials yet that could give an answer."
    rows, looks = list(rows_of(tables.told)), tables.looks
    learners = dict.fromkeys(looks.learner(row.learner) for row in rows)
    where = f"With {' or '.join(learners)} on {tables.target}, letting a language model write more"
    if not any(known(row.gain) for row in rows):
        picked = listed([f"{gain(row.picked)} points at {count(row.size)} labels" for row in rows])
        return f"{where} adds, as picked, {picked}; one repeat cannot show that it helps."
    helps, hurts, not_ = ([count(row.size) for row in rows if verdict(row, tables.params) == name] for name in ("helps", "hurts", ""))
    said = [f"helps at {listed(helps)} labels"] if helps else []
    said += [f"hurts at {listed(hurts)} labels"] if hurts else []
    said += [f"is not shown to {'' if said else 'help '}at {listed(not_)}{'' if said else ' labels'}"] if not_ else []
    gains = [_told(row, tables.params, first=row is rows[0]) for row in rows]
    last = rows[-1]
    guess = (
        ""
        if helps or not _worth_a_guess(last, tables.params)
        else f" Best guess at {count(last.size)} labels: {looks.title(last.arm)}, {chance(last.p_better)}."
    )
    return f"{where} {' and '.join(said)}: picking the best way adds {'; '.join(gains)}.{guess}{_instead(tables, rows)}"


def _instead(tables: Tables, rows: list[Any]) -> str:
    """Say where another classifier with the labels alone is shown to do more than the written rows of some answers; empty: nowhere."""
    said = []
    for row in rows:
        rival = rival_of(tables, row)
        if rival is not None and rival.better:
            said.append(f"at {count(row.size)} labels {_scored(tables, rival)}, {told(rival.more, rival.low, rival.high)} over that")
    return f" Another classifier does more with the labels alone: {'; '.join(said)}." if said else ""


def rival_of(tables: Tables, row: Any) -> Any:
    """Return the row of `Tables.rivals` that belongs to an answer; None: there is no other classifier."""
    assert tables.rivals is not None
    found = tables.rivals
    found = found[(found["corpus"] == row.corpus) & (found["size"] == row.size) & (found["learner"] == row.learner)]
    return next(iter(rows_of(found)), None)


def _scored(tables: Tables, rival: Any) -> str:
    return f"{tables.looks.learner(rival.rival)} {score(rival.score)}"


def _told(row: Any, params: Params, first: bool) -> str:
    """Write a row of the answers: gain, interval, seed size and, if the gain is shown, its worth in labels."""
    at = f"at {count(row.size)} labels"
    if not known(row.gain):
        return f"{gain(row.picked)} {at} as picked, from one repeat"
    said = gain_words(row, params) if first else told(row.gain, row.low, row.high)
    if row.shown and min(row.worth_low, row.low) > 0:
        return f"{said} {at}, worth {labels_worth(*_worth(row))[0]} more real ones"
    unsure = not verdict(row, params) and (row.low > 0 or row.high < 0)  # an interval that seems to contradict what is said of it
    return f"{said} {at}{f', p = {p_text(row.p_adjusted)} once corrected for all rows of the table below' if unsure else ''}"


def _worth(row: Any) -> tuple[float, float, float, float]:
    return row.worth, row.worth_low if row.low > 0 else min(row.worth_low, 0.0), row.worth_high, row.reach


def _worth_a_guess(row: Any, params: Params) -> bool:
    """Return whether an arm of which nothing is shown is worth a name: repeats enough, and more draws for it than `Evidence.wins` asks of runs."""
    return bool(row.repeats >= LEAST and row.p_better >= params.evidence.wins)


def elsewhere(tables: Tables) -> str:
    """Say where else, on other corpora or with other classifiers, it is shown to help, and where not; empty: nothing else was run."""
    if tables.told is None or tables.answers is None:
        return ""
    rows = tables.answers.drop(index=tables.told.index)
    shown: list[str] = []
    not_: list[str] = []
    for (corpus, _), own in rows.groupby(["corpus", "kind"], sort=False):
        helps, other = ([count(at) for at in own.loc[own["shown"] == value, "size"]] for value in (True, False))
        learners = listed([tables.looks.learner(name) for name in dict.fromkeys(own["learner"])])
        also = f", not at {listed(other)}" if helps and other else ""
        (shown if helps else not_).append(f"{corpus}, {learners} (at {listed(helps or other)} labels{also})")
    said = [f"shown to help on {'; '.join(shown)}"] if shown else []
    said += [f"not shown to help on {'; '.join(not_)}"] if not_ else []
    return f"Elsewhere it is {'. It is '.join(said)}." if said else ""


def rules(tables: Tables) -> list[str]:
    """Return what to do in the order of what it costs: choose the classifier, write where that is shown to pay, else label more."""
    if tables.answers is None or tables.answers.empty:
        return []
    return [text for text in (_classifier(tables), _write(tables), _label(tables)) if text]


def _classifier(tables: Tables) -> str:
    """Say what the choice of the classifier is worth: against the best written rows, and by corpus at its smallest seed."""
    if tables.alone is None or len(tables.params.learners) < 2:
        return ""
    assert tables.answers is not None and tables.rivals is not None
    said, beaten, ahead = [], [], []
    for _, own in tables.answers.groupby(["corpus", "size"], sort=False):
        found = [(row, rival) for row in rows_of(own) if (rival := rival_of(tables, row)) is not None]
        if found:  # of several classifiers the one that scores best with its written rows: it is the hardest to beat
            row, rival = max(found, key=lambda pair: pair[1].own)
            if rival.better:
                ahead.append(str(rival.rival))
                beaten.append(
                    f"{row.corpus}, {count(row.size)} labels: {_scored(tables, rival)}, {told(rival.more, rival.low, rival.high)} over {tables.looks.title(row.arm)} with {tables.looks.learner(row.learner)}"
                )
    for corpus in tables.params.corpora.names:
        rows = tables.alone[tables.alone["corpus"] == corpus]
        rows = rows[rows["size"] == rows["size"].min()].sort_values("score", ascending=False, kind="stable")
        if len(rows) > 1:
            ahead.append(str(rows["learner"].iloc[0]))
            best, worst = (f"{tables.looks.learner(row.learner)} {score(row.score)}" for row in rows_of(rows.iloc[[0, -1]]))
            said.append(f"{corpus}, {count(int(rows['size'].iloc[0]))} labels: {best}, {worst}")
    if not said:
        return ""
    alone = f"Macro-F1 of the labels alone, best and worst: {'; '.join(said)}."
    more = f" With the labels alone another is shown to beat the best written rows on {'; '.join(beaten)}." if beaten else ""
    return f"Choose the classifier first. {alone}{more}{_caveats(tables, ahead)}"


def _caveats(tables: Tables, learners: list[str]) -> str:
    """Say what must be known of classifiers that are ahead; of several that ask for the same it is said once."""
    offered = pieces.registered("learner")
    said_of: dict[str, list[str]] = {}
    for name in dict.fromkeys(learners):
        if name in offered and (caveat := cast(type[Learner], offered[name]).caveat):
            said_of.setdefault(caveat, []).append(tables.looks.learner(name))
    said = [f"{listed(names)}: {caveat}." for caveat, names in said_of.items()]
    return "".join(f" {text[:1].upper()}{text[1:]}" for text in said)


def _write(tables: Tables) -> str:
    """Say where written rows are shown to pay."""
    assert tables.answers is not None
    rows = list(rows_of(tables.answers[tables.answers["shown"]]))
    if not rows:
        return f"Writing is not shown to pay in any of the {some(len(tables.answers), 'row')} below: label instead, if you can."
    said = [
        f"{row.corpus}, {count(row.size)} labels, {tables.looks.learner(row.learner)}: {tables.looks.title(row.arm)}, {told(row.gain, row.low, row.high)} points"
        for row in rows
    ]
    beaten = sum(bool(rival.better) for row in rows if (rival := rival_of(tables, row)) is not None)
    but = f" In {count(beaten)} of these another classifier is shown to do more with the labels alone." if beaten else ""
    which = f": {'; '.join(said)}" if len(said) <= MOST else ""
    return f"Write where that is shown to pay, {count(len(rows))} of {some(len(tables.answers), 'row')} below{which}.{but}"


def _label(tables: Tables) -> str:
    """Say what labelling as many posts again gains on the target."""
    head = tables.headline
    if head is None or head.real is None or tables.contrasts is None:
        return ""
    rows = main_rows(tables.contrasts)
    own = rows[(rows["corpus"] == head.corpus) & (rows["learner"] == head.learner) & (rows["arm"] == head.real)].sort_values("size")
    said = [f"{told(row.gain, row.low, row.high)} at {count(row.size)}" for row in rows_of(own)]
    where = f"on {head.corpus} with {tables.looks.learner(head.learner)}"
    shown_to_pay = tables.answers is not None and bool(tables.answers["shown"].any())
    return (
        f"{'Else label' if shown_to_pay else 'Label'} more: {tables.looks.title(head.real)} {where} {'add' if said else ''} {listed(said)} labels."
        if said
        else ""
    )


def verdict(row: Any, params: Params) -> str:
    """Return whether a cross-fitted gain ``helps`` or ``hurts``, after correction for all rows of the table, or nothing."""
    return "helps" if row.shown else "hurts" if row.gain < 0 and row.p_adjusted < params.evidence.alpha else ""


def shown(row: Any, params: Params) -> str:
    """Say whether a cross-fitted gain is shown, after correction for all rows of the table."""
    found = verdict(row, params)
    if found:
        return f"shown{' to hurt' if found == 'hurts' else ''}: p = {p_text(row.p_adjusted)}"
    if not known(row.p_adjusted):
        return "not shown: one repeat" if row.repeats == 1 else f"not shown: {count(row.repeats)} repeats are too few"
    return f"not shown: p = {p_text(row.p_adjusted)}"


def advice(tables: Tables) -> list[dict[str, str]]:
    """Return by corpus, seed size and kind of learner what to add; nothing is recommended whose gain is not shown."""
    if tables.answers is None:
        return []
    looks, found = tables.looks, []
    for row in rows_of(tables.answers):
        cheaper = [looks.title(arm) for arm in row.cheaper.split()]
        guess = f"; best guess: {looks.title(row.arm)}, {chance(row.p_better)}" if _worth_a_guess(row, tables.params) else ""
        planned = tables.params.cells.repeats_of(row.corpus)
        cut = f" of {count(planned)}" if row.repeats < planned else ""
        worth, worth_span = labels_worth(*_worth(row)) if row.repeats >= LEAST else ("–", "")
        found.append({
            "situation": f"{row.corpus}, {count(len(tables.corpora[row.corpus]['classes']))} classes, {count(row.size)} labels",
            "learner": looks.learner(row.learner),
            "recipe": looks.title(row.arm) if row.shown else f"nothing shown to help{guess}", "free": _free(tables, row), **_rival(tables, row),
            "gain": gain(row.gain), "span": gain_span(row.low, row.high) if row.repeats >= LEAST else "", "picked": gain(row.picked),
            "worth": worth, "worth_span": worth_span,
            "cost": f"{count(row.written)} texts for {count(row.added)} kept, {count(row.each)} tokens each",
            "cheaper": listed(cheaper) if cheaper else "", "sure": shown(row, tables.params),
            "basis": f"{count(row.repeats)}{cut} repeat{'s' * (planned > 1)}; picked from {some(row.among, 'arm')}",
        })  # fmt: skip
    return found


def _rival(tables: Tables, row: Any) -> dict[str, str]:
    """Return what stands beside an answer of the best other classifier with the labels alone."""
    rival = rival_of(tables, row)
    if rival is None:
        return {"rival": "–", "rival_more": "", "rival_sure": ""}
    sure = (
        f"{'' if rival.better else 'not '}shown: p = {p_text(rival.p_adjusted)}" if rival.more > 0 else ""
    )  # nobody asks whether what is behind is shown to be
    return {"rival": _scored(tables, rival), "rival_more": told(rival.more, rival.low, rival.high), "rival_sure": sure}


def _free(tables: Tables, row: Any) -> str:
    """Say what the best way without a language model gains in the cell of an answer: one that adds nothing, or edits the seed's rows; empty: none gains."""
    assert tables.contrasts is not None
    rows = main_rows(tables.contrasts)
    rows = rows[(rows["corpus"] == row.corpus) & (rows["size"] == row.size) & (rows["learner"] == row.learner) & (rows["repeats"] >= LEAST)]
    free = [name for name in tables.params.arms if _costless(tables.params, name)]
    rows = rows[(rows["version"] == "") & rows["arm"].isin(free)]
    if rows.empty or not rows["gain"].max() > 0:
        return ""
    best = next(rows_of(rows.sort_values("gain", ascending=False, kind="stable")))
    kind = "adding nothing" if tables.params.arms[best.arm].add == "none" else "no language model"
    return f"{kind}, {tables.looks.title(best.arm)}: {told(best.gain, best.low, best.high)}"


def _costless(params: Params, name: str) -> bool:
    """Whether an arm needs neither a language model nor further text: it adds nothing, or edits rows of the seed."""
    arm = params.arms[name]
    return arm.add == "none" or (usable(arm) and not model_writes(params, name))


def paying(tables: Tables) -> list[str]:
    """Say by corpus and kind of learner at which seed sizes written rows are shown to pay, at which not, and which were left out."""
    said: list[str] = []
    for (corpus, _), own in [] if tables.answers is None else tables.answers.groupby(["corpus", "kind"], sort=False):
        pays, not_ = ([count(at) for at in own.loc[own["shown"] == value, "size"]] for value in (True, False))
        names = listed([tables.looks.learner(name) for name in dict.fromkeys(own["learner"])])
        left = [count(at) for at in tables.params.cells.sizes_of(str(corpus)) if at not in set(own["size"])]
        at = (
            f"at {listed(pays)} labels{f', not at {listed(not_)}' if not_ else ''}"
            if pays
            else f"at no size that was run ({listed(not_)} labels)"
        )
        said.append(f"{corpus}, {names}: written rows are shown to pay {at}{f'; not run at {listed(left)}, for time' if left else ''}.")
    return said


def cuts(tables: Tables) -> str:
    """Say what was cut for time and how many arms the best was not picked from; empty: nothing."""
    rows = tables.answers
    if rows is None or rows.empty:
        return ""
    said = []
    fewer = sum(row.repeats < tables.params.cells.repeats_of(row.corpus) for row in rows_of(rows))
    if fewer:
        who = f"{some(fewer, 'row')} of {count(len(rows))} {'rests' if fewer == 1 else 'rest'}"
        said.append(f"{who} on fewer repeats than the profile draws, for time: the row says so")
    if (rows["left"] > 0).any():
        many = " to ".join(dict.fromkeys(count(item) for item in (rows["left"].min(), rows["left"].max())))
        why = f"arms that were run in fewer repeats than {count(LEAST)} where the labels alone have more, or not in that cell"
        said.append(f"{why}, were not picked from: {many} a row")
    if (rows["repeats"] < LEAST).any():
        said.append(f"nothing is shown by fewer repeats than {count(LEAST)}, whatever the gain")
    return " ".join(f"{text[:1].upper()}{text[1:]}." for text in said)
