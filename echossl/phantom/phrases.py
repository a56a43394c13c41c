"""What reports say, by language, part of the heart and state; several wordings of each."""

from collections.abc import Mapping

Wordings = Mapping[str, tuple[str, ...]]

# parts of the heart in the order of the draws
TOPICS = ("valve", "atrium", "walls", "pericardium", "function")

ENGLISH: dict[str, Wordings] = {
    "opening": {
        "any": ("Transthoracic echocardiogram.", "Echocardiography was performed.", "Adult echo study."),
    },
    "valve": {
        "none": (
            "No aortic stenosis (Vmax {velocity} m/s).",
            "The aortic valve opens well, peak velocity {velocity} m/s.",
            "Aortic valve without stenosis.",
            "There is no evidence of aortic valve obstruction.",
        ),
        "mild": (
            "Mild aortic stenosis, peak velocity {velocity} m/s.",
            "The aortic valve is slightly narrowed (Vmax {velocity} m/s, mean gradient {gradient} mmHg).",
            "Mild AS.",
        ),
        "moderate": (
            "Moderate aortic stenosis with a mean gradient of {gradient} mmHg.",
            "The aortic valve is thickened with moderately reduced opening, area {area} cm2.",
            "AS of moderate degree, Vmax {velocity} m/s.",
        ),
        "severe": (
            "Severe aortic stenosis, peak velocity {velocity} m/s, valve area {area} cm2.",
            "The aortic valve is heavily calcified with severely reduced opening.",
            "High-grade AS (mean gradient {gradient} mmHg).",
            "Critical narrowing of the aortic valve, Vmax {velocity} m/s.",
        ),
    },
    "atrium": {
        "yes": ("The left atrium is enlarged.", "Dilated left atrium.", "Left atrial enlargement."),
        "no": (
            "Left atrium of normal size.",
            "No left atrial enlargement.",
            "The left atrium is not dilated.",
        ),
    },
    "walls": {
        "yes": (
            "Left ventricular hypertrophy.",
            "The walls of the left ventricle are thickened.",
            "Concentric LVH, septum {septum} cm.",
        ),
        "no": (
            "No left ventricular hypertrophy.",
            "Normal wall thickness (septum {septum} cm).",
            "The left ventricle is not thickened.",
        ),
    },
    "pericardium": {
        "yes": (
            "Pericardial effusion of {effusion} cm.",
            "There is fluid around the heart.",
            "A pericardial effusion is seen.",
        ),
        "no": (
            "No pericardial effusion.",
            "No fluid in the pericardium.",
            "The pericardium is without effusion.",
        ),
    },
    "function": {
        "yes": ("Ejection fraction reduced to {ejection} %.", "Systolic function is impaired."),
        "no": ("Normal ejection fraction ({ejection} %).", "Systolic function is not impaired."),
    },
}
GERMAN: dict[str, Wordings] = {
    "opening": {
        "any": ("Transthorakale Echokardiographie.", "Echokardiographische Untersuchung."),
    },
    "valve": {
        "none": (
            "Keine Aortenklappenstenose (Vmax {velocity} m/s).",
            "Die Aortenklappe öffnet gut, Vmax {velocity} m/s.",
            "Aortenklappe ohne Stenose.",
        ),
        "mild": (
            "Leichtgradige Aortenklappenstenose, Vmax {velocity} m/s.",
            "Die Aortenklappe ist gering eingeengt (mittlerer Gradient {gradient} mmHg).",
        ),
        "moderate": (
            "Mittelgradige Aortenklappenstenose, mittlerer Gradient {gradient} mmHg.",
            "Aortenklappe verdickt, Öffnung mäßig eingeschränkt, Fläche {area} cm2.",
        ),
        "severe": (
            "Hochgradige Aortenklappenstenose, Vmax {velocity} m/s, Öffnungsfläche {area} cm2.",
            "Die Aortenklappe ist stark verkalkt und öffnet kaum.",
            "Schwere AS (mittlerer Gradient {gradient} mmHg).",
        ),
    },
    "atrium": {
        "yes": ("Der linke Vorhof ist vergrößert.", "Linker Vorhof dilatiert."),
        "no": ("Linker Vorhof normal groß.", "Der linke Vorhof ist nicht vergrößert."),
    },
    "walls": {
        "yes": (
            "Linksventrikuläre Hypertrophie.",
            "Die Wände des linken Ventrikels sind verdickt, Septum {septum} cm.",
        ),
        "no": ("Keine linksventrikuläre Hypertrophie.", "Wanddicken normal (Septum {septum} cm)."),
    },
    "pericardium": {
        "yes": ("Perikarderguss von {effusion} cm.", "Es zeigt sich ein Perikarderguss."),
        "no": ("Kein Perikarderguss.", "Das Perikard ist frei von Flüssigkeit."),
    },
    "function": {
        "yes": ("Ejektionsfraktion auf {ejection} % vermindert.", "Die Pumpfunktion ist eingeschränkt."),
        "no": ("Ejektionsfraktion normal ({ejection} %).", "Die Pumpfunktion ist nicht eingeschränkt."),
    },
}
LANGUAGES: dict[str, dict[str, Wordings]] = {"english": ENGLISH, "german": GERMAN}
DECIMAL_MARKS = {"english": ".", "german": ","}
