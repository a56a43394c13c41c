"""Tasks of adaptation: binary, multi-class, ordinal, multi-label, regression; one file each."""

from echossl.adapt.tasks.assessed import AssessedTask
from echossl.adapt.tasks.base import Task
from echossl.adapt.tasks.binary import BinaryTask
from echossl.adapt.tasks.multiclass import MulticlassTask
from echossl.adapt.tasks.multilabel import MultilabelTask
from echossl.adapt.tasks.ordinal import OrdinalTask
from echossl.adapt.tasks.regression import RegressionTask
from echossl.config.across import AssessedLabels
from echossl.config.adapt import LabelBudget
from echossl.config.task import WITH_CLASSES, TaskName, TaskSettings
from echossl.data.labels import class_map_of
from echossl.errors import UserError

__all__ = ["Task", "build_task", "resolve_task"]

TASKS: dict[TaskName, type[Task]] = {
    "binary": BinaryTask,
    "multiclass": MulticlassTask,
    "ordinal": OrdinalTask,
    "multilabel": MultilabelTask,
    "regression": RegressionTask,
}


def build_task(settings: TaskSettings) -> Task:
    """The task of settings, as :func:`resolve_task` or the file of a classifier gives them."""
    return TASKS[settings.name](settings)


def resolve_task(labels: LabelBudget) -> Task:
    """The task that the settings of a label budget ask for.

    ``auto`` is multi-label if there are several columns, else what the class map of the column's name says,
    else multi-class if classes are given, else binary.

    Raises:
        UserError: if the class map of the column is of another kind, or classes are missing.
    """
    if labels.columns:
        return build_task(TaskSettings(name="multilabel", columns=labels.columns, unit=labels.unit))
    class_map, column = class_map_of(labels.column), labels.column
    kind = class_map.kind if class_map else "multiclass" if labels.classes else "binary"
    name = kind if labels.task == "auto" else labels.task
    if class_map and (name == "regression" or (name == "binary") != (kind == "binary")):
        raise UserError(f"labels.task: {column} is {kind} by its name, so it cannot be learned as {name}")
    classes = class_map.classes if class_map and name in WITH_CLASSES else labels.classes
    if labels.classes and labels.classes != classes:
        raise UserError(f"labels.classes: the classes of {column} are {', '.join(classes) or 'no and yes'}")
    if name in WITH_CLASSES and not classes:
        raise UserError(
            f"labels.classes: {column} is not the name of a class map; give its classes in their order"
        )
    if name in WITH_CLASSES and len({text.lower().replace(" ", "_") for text in classes}) < len(classes):
        raise UserError(f"labels.classes: two classes of {column} have the same name: {', '.join(classes)}")
    settings = TaskSettings(name=name, columns=(column,), classes=classes, unit=labels.unit)
    # to the file of a classifier this is multi-class like any other: the difference is in learning alone
    return AssessedTask(settings) if isinstance(labels, AssessedLabels) else build_task(settings)
