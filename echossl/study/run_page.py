"""The page of one fine-tuning run."""

import shlex
from pathlib import Path

from echossl.config.adapt import FinetuneConfig
from echossl.config.report import ReportConfig
from echossl.data.labels import describe
from echossl.errors import UserError
from echossl.evaluation import read_predictions
from echossl.report import ReportPage
from echossl.runs import RunFolder
from echossl.study.curves import validation_curves
from echossl.study.one_model import LIMITS, budget_line, environment, one_model


def run_page(folder: Path, config: ReportConfig, *, column: str | None = None) -> ReportPage:
    """Judge the predictions of a run of ``echossl finetune``.

    Args:
        folder: of the run.
        config: of the page.
        column: label column or cut; its own label column unless given.

    Raises:
        UserError: if the run is not finished, it learned numbers, or its table asks several questions and
            none is named.
    """
    run = RunFolder(folder)
    result = run.result
    if result is None:
        raise UserError(f"{folder}: the run is not finished; start the same echossl finetune again")
    if result.get("task") == "regression":
        raise UserError(
            f"{folder}: the run learned numbers, whose page is that of its table; give "
            f"{folder / 'predictions.csv'}"
        )
    finetuned = FinetuneConfig.model_validate(run.record["config"])
    predictions = read_predictions(folder / "predictions.csv", column)
    model = one_model(
        predictions, config, manifest=finetuned.data.manifest, saliency=folder / "saliency", note=""
    )
    curves = list(validation_curves(folder.name, result))
    missing = model.missing if curves else [*model.missing, ("Training curve", "the recipe kept none")]
    labels = finetuned.labels
    return ReportPage(
        title=config.title or f"Run {folder.name}",
        lead=f"A model that learned {predictions.column} from {result['num_labelled_patients']} patients.",
        what_was_run=[
            ("Start", str(finetuned.start or "random")),
            ("Recipe", finetuned.recipe.name),
            ("Seed", str(finetuned.seed)),
            *([("Classes", classes)] if (classes := describe(predictions.column)) else []),
            ("Command", shlex.join(["echossl", *run.record["argv"][1:]])),
        ],
        notes=["Validation patients come out of the label budget. Nothing was chosen on the test patients."],
        judged=[model.judged],
        training=curves,
        budget=[budget_line(labels.fraction, str(labels.draw), result)],
        saliency=model.saliency,
        saliency_rule=model.rule,
        saliency_checks=model.checks,
        belief=model.belief,
        missing=missing,
        limits=LIMITS,
        environment=environment(folder),
    )
