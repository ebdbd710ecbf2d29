"""On a CUDA device, explanations are those of the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairlead_explainer_captum._plugin import METHODS
from fairlead_explainer_captum_tests.models import Loaded, Net, asked, explainer, seeded, spec, unasked

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
    # DeepLift warns that it sets hooks and takes them away, which is what is asked of it.
    pytest.mark.filterwarnings("ignore:Setting forward, backward hooks"),
]


@pytest.mark.parametrize("method", METHODS[:-1])
def test_a_module_is_explained_where_it_is(method: str) -> None:
    on_cpu = explainer(Loaded(seeded(Net), spec(4)), method=method).explain(asked(), unasked)
    module = seeded(Net).cuda()
    on_device = explainer(Loaded(module, spec(4)), method=method).explain(asked(), unasked)
    assert next(module.parameters()).is_cuda
    for one, other in zip(on_cpu.outputs, on_device.outputs, strict=True):
        np.testing.assert_allclose(one.data, other.data, rtol=1e-3, atol=1e-4)
