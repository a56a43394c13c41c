"""Peaks of devices by name and by measurement, and operations counted as a person would."""

import time

import pytest
import torch
from torch import nn

from echossl.training.peak import PUBLISHED, counted, measured_peak, peak_of, published_peak

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA H200", 989.4),
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H100 PCIe", 756.5),
        ("NVIDIA GH200 480GB", 989.4),
        ("NVIDIA A100-SXM4-80GB", 311.8),
        ("NVIDIA A10G", 70.0),
        ("Tesla V100-SXM2-32GB", 125.0),
        ("NVIDIA L4", 121.0),
        ("NVIDIA L40S", 362.1),
        ("NVIDIA GeForce RTX 3080 Ti", 68.2),
        ("NVIDIA GeForce RTX 3090", 71.0),
        ("NVIDIA GeForce RTX 3090 Ti", 80.0),
        ("NVIDIA RTX 6000 Ada Generation", 364.2),
    ],
)
def test_published_peaks(name: str, tera: float) -> None:
    assert published_peak(name) == pytest.approx(tera * 1e12)


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA X1",
        "AMD Instinct MI300X",
        "NVIDIA A100-SXM4-40GB MIG 3g.20gb",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
    ],
)
def test_what_is_not_known_is_not_guessed(name: str) -> None:
    assert published_peak(name) is None


def test_a_longer_name_comes_before_the_shorter_one_that_is_in_it() -> None:
    names = [set(name.split()) for name, _ in PUBLISHED]
    for number, words in enumerate(names):
        assert not any(earlier < words for earlier in names[:number])


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_a_cpu_is_measured_and_no_product_is_much_faster(precision: str) -> None:
    before = torch.random.get_rng_state()
    found = measured_peak(precision)  # type: ignore[arg-type]
    assert torch.equal(torch.random.get_rng_state(), before)
    side, dtype = 512, torch.bfloat16 if precision == "bf16" else torch.float32
    square = torch.ones(side, side, dtype=dtype)
    started = time.perf_counter()
    square @ square
    seconds = time.perf_counter() - started
    assert 1e8 < found < 1e14
    assert 2 * side**3 / seconds < 20 * found


def test_the_source_says_what_was_measured() -> None:
    assert peak_of(CPU, "bf16")[1] == "bf16 matrix product measured here"
    assert peak_of(CPU, "fp32")[1] == "fp32 matrix product measured here"


def test_operations_of_a_layer_forward_and_backward() -> None:
    layer, inputs = nn.Linear(30, 50), torch.rand(7, 30, requires_grad=True)

    def work() -> str:
        layer(inputs).sum().backward()
        return "done"

    answer, operations = counted(work)
    assert answer == "done"
    forward = 2 * 7 * 30 * 50
    assert operations == 3 * forward


def test_operations_of_a_convolution() -> None:
    layer, clip = nn.Conv3d(2, 5, 3, padding=1, bias=False), torch.rand(1, 2, 4, 8, 8)
    _, operations = counted(lambda: layer(clip))
    assert operations == 2 * 4 * 8 * 8 * 5 * 2 * 27
    _, operations = counted(lambda: layer(clip).sum().backward())
    assert operations == 2 * (2 * 4 * 8 * 8 * 5 * 2 * 27)  # the clip needs no gradient
