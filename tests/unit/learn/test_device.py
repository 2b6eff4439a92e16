"""Device choice, with and without a card (the card is simulated: CI has none)."""

from __future__ import annotations

import pytest
import torch

from auror.errors import ConfigError
from auror.learn.device import resolve_device


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("two_cards")
def test_with_cards_auto_takes_the_first_and_numbers_are_respected() -> None:
    names = ("auto", "cuda", "cuda:1", "cpu")
    assert [str(resolve_device(name)) for name in names] == ["cuda:0", "cuda:0", "cuda:1", "cpu"]
    with pytest.raises(ConfigError, match="cuda:0 to cuda:1 only"):
        resolve_device("cuda:2")


@pytest.mark.usefixtures("no_card")
def test_without_a_card_auto_is_the_cpu_and_cuda_is_refused_with_the_fix() -> None:
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")
    for name in ("cuda", "cuda:0"):
        with pytest.raises(ConfigError, match="use cpu or auto"):
            resolve_device(name)


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:-1", "CPU", "mps"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="choose auto, cpu, cuda or cuda:N"):
        resolve_device(name)
