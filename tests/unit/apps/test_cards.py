"""What the doctor makes of graphics cards, from facts of machines that are not here."""

import os
from pathlib import Path

import pytest

from apps.doctor import cards
from apps.doctor.cards import AMD, NVIDIA, Facts, TorchCard, judged
from apps.doctor.children import child_line
from apps.doctor.report import GOOD, WARNING, Diagnosis

RADEON = TorchCard("AMD Radeon RX 7900 XTX", "gfx1100", 24.0, True)


def looked(facts: Facts) -> dict[str, Diagnosis]:
    return {one.name: one for one in judged(facts)}


def test_no_card_is_well() -> None:
    [only] = judged(Facts())
    assert (only.state, only.detail) == (GOOD, "none: models run on the processor")


def test_a_card_that_torch_computed_on() -> None:
    found = looked(
        Facts((AMD,), "open", ("Radeon (gfx1100)",), "6.4.1", "2.13.0+rocm6.4", "6.4.43", "", (RADEON,), ("ROCm0",))
    )
    assert found["graphics cards"].detail == "Radeon (gfx1100); ROCm 6.4.1"
    assert found["cards for torch"].state == GOOD
    assert "HIP 6.4.43: computed on AMD Radeon RX 7900 XTX (gfx1100, 24 GB)" in found["cards for torch"].detail
    assert found["cards for llama.cpp"].state == GOOD


@pytest.mark.parametrize(
    ("facts", "detail", "remedy"),
    [
        (Facts((AMD,), "closed", torch="2.13.0+rocm6.4", hip="6.4"), "may not be opened", "render,video"),
        (Facts((AMD,), "absent", torch="2.13.0+rocm6.4", hip="6.4"), "no /dev/kfd", "amdgpu"),
        (Facts((AMD,), "open", torch="2.13.0+cpu"), "not built for ROCm", "TORCH_INDEX=<the ROCm index"),
        (Facts((NVIDIA,), torch="2.13.0+cpu"), "not built for CUDA", "TORCH_INDEX=<the CUDA index"),
        (Facts((AMD,), "open", torch="2.13.0+rocm6.4", hip="6.4"), "finds no card", "HSA_OVERRIDE_GFX_VERSION"),
        (Facts((NVIDIA,), torch="2.13.0", cuda="13.0"), "finds no card", "driver"),
        (Facts((NVIDIA,), torch_error="it crashed (signal 11)"), "it crashed (signal 11)", "driver"),
        (
            Facts((AMD,), "open", torch="2", hip="6", cards=(TorchCard("R", "gfx906", 16.0, False),)),
            "wrongly on R",
            "device: cpu",
        ),
    ],
)
def test_what_does_not_fit_has_a_remedy(facts: Facts, detail: str, remedy: str) -> None:
    found = looked(facts)["cards for torch"]
    assert found.state == WARNING
    assert detail in found.detail
    assert remedy in found.remedy


def test_a_llama_that_was_built_for_the_processor_is_told() -> None:
    assert looked(Facts((AMD,), "open", llama=()))["cards for llama.cpp"].state == WARNING
    assert "cards for llama.cpp" not in looked(Facts((AMD,), "open", llama=None))


def test_facts_are_read_from_kernel_and_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, vendor in (("card0", "0x1002"), ("card1", "0x10de"), ("card2", "0x1234")):
        (tmp_path / name / "device").mkdir(parents=True)
        (tmp_path / name / "device" / "vendor").write_text(f"{vendor}\n")
    assert cards._vendors(tmp_path) == (AMD, NVIDIA)
    assert cards._kfd(tmp_path / "none") == "absent"
    assert cards._kfd(tmp_path) == "open"
    assert cards._rocm(tmp_path / "none") == ""
    for tool, text in (
        ("rocminfo", "  Marketing Name:   AMD EPYC\n  Name:  gfx1100\n  Marketing Name:   Radeon RX 7900\n"),
        ("nvidia-smi", "NVIDIA A100, 81920 MiB, 570.1\n"),
    ):
        file = tmp_path / tool
        file.write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\n")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert cards._tool_lines() == ("NVIDIA A100, 81920 MiB, 570.1", "Radeon RX 7900 (gfx1100)")


def test_a_probe_that_crashes_is_told() -> None:
    assert child_line("print('noise'); print('{}')") == ("{}", "")
    assert child_line("import os; os.kill(os.getpid(), 11)") == ("", "it crashed (signal 11)")
    assert child_line("raise RuntimeError('no driver')") == ("", "RuntimeError: no driver")
