"""The shipped model, loaded once for all tests of a worker."""

import pytest

from services.inference.model import FaceModel, load_model


@pytest.fixture(name="model", scope="session")
def _model() -> FaceModel:
    return load_model()
