"""The logistic regression that the probe, the recipe ``probe`` and the control of pixels share."""

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def standardised_logistic(inverse_regularisation: float) -> Pipeline:
    """Standardisation with the mean and deviation of what it is fitted to, then logistic regression.

    Args:
        inverse_regularisation: C of scikit-learn's ``LogisticRegression``.
    """
    return make_pipeline(StandardScaler(), LogisticRegression(C=inverse_regularisation, max_iter=1000))
