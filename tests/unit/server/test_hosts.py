"""What the server puts behind a campaign: a real model, with or without clean samples."""

from __future__ import annotations

import numpy as np
from auror_server.config import LearningSection
from auror_server.hosts import make_host

from auror.learn.evaluate import centred_output_weights, confusion_basis
from auror.learn.models import ModelSpec


def test_without_clean_samples_the_output_weights_give_the_basis() -> None:
    with_them, without = (
        make_host(LearningSection(dataset="digits", clean_samples=count)) for count in (100, 0)
    )
    model = without.initial(0)
    np.testing.assert_array_equal(model, with_them.initial(0))
    spec = ModelSpec("mlp", (1, 8, 8), 10, hidden=64)
    expected = confusion_basis(centred_output_weights(spec, model))
    found, other = without.confusion_basis(model), with_them.confusion_basis(model)
    assert found is not None
    assert other is not None
    np.testing.assert_array_equal(found, expected)
    assert not np.allclose(found, other)
    assert without.evaluate(model) == with_them.evaluate(model)
