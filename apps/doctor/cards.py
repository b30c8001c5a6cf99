"""Graphics cards: what the kernel, the makers' tools, torch and llama.cpp say of them, and whether that fits together.

Facts are gathered in child processes, for a driver that crashes takes only those down; what they come to is a pure function. A
card counts as usable where torch really multiplied on it, not where something says that it is there.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.doctor.children import child_line
from apps.doctor.report import GOOD, WARNING, Diagnosis

AREA = "machine"
NAME = "graphics cards"
AMD, NVIDIA = "AMD", "NVIDIA"
_VENDORS = {"0x1002": AMD, "0x10de": NVIDIA}
_TORCH = """
import json, torch
found = {"torch": torch.__version__, "hip": torch.version.hip, "cuda": torch.version.cuda, "cards": []}
if torch.cuda.is_available():
    for at in range(torch.cuda.device_count()):
        p = torch.cuda.get_device_properties(at)
        ones = torch.ones(256, 256, device=f"cuda:{at}")
        right = bool(((ones @ ones) == 256).all().item())
        arch = getattr(p, "gcnArchName", "") or f"sm_{p.major}{p.minor}"
        found["cards"].append([p.name, arch, round(p.total_memory / 2**30, 1), right])
print(json.dumps(found))
"""
_LLAMA = """
import json, xllamacpp
print(json.dumps([d["name"] for d in xllamacpp.get_device_info() if "GPU" in str(d["type"]).upper()]))
"""


@dataclass(frozen=True, slots=True)
class TorchCard:
    """A card as torch sees it: ``is_right`` where a product of matrices on it was."""

    name: str
    arch: str
    gigabytes: float
    is_right: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found.

    Attributes:
        vendors: of the cards that the kernel lists.
        kfd: ``/dev/kfd``, AMD's door to computing: ``open``, ``closed`` (no permission) or ``absent``.
        tools: lines of ``nvidia-smi`` and ``rocminfo``.
        rocm: version of the ROCm that is installed; empty = none was found.
        torch: its version; empty = it could not be asked, ``torch_error`` says why.
        hip: version of HIP that it was built for.
        cuda: version of CUDA that it was built for.
        cards: that it computes on.
        llama: cards that llama.cpp finds; None where it is not installed.
        torch_error: the last line that asking it left.
    """

    vendors: tuple[str, ...] = ()
    kfd: str = "absent"
    tools: tuple[str, ...] = ()
    rocm: str = ""
    torch: str = ""
    hip: str = ""
    cuda: str = ""
    cards: tuple[TorchCard, ...] = ()
    llama: tuple[str, ...] | None = None
    torch_error: str = ""


def examine() -> Iterator[Diagnosis]:
    """Look at the cards."""
    yield from judged(gathered())


def judged(facts: Facts) -> Iterator[Diagnosis]:
    """What the facts come to."""
    if not facts.vendors and not facts.tools and not facts.cards:
        yield Diagnosis(AREA, NAME, GOOD, "none: models run on the processor")
        return
    seen = "; ".join(facts.tools) or f"{', '.join(facts.vendors)} by the kernel"
    rocm = f"; ROCm {facts.rocm}" if facts.rocm else ""
    yield Diagnosis(AREA, NAME, GOOD, f"{seen}{rocm}"[:500])
    yield _of_torch(facts)
    if facts.llama is not None:
        if facts.llama:
            yield Diagnosis(AREA, "cards for llama.cpp", GOOD, f"finds {', '.join(facts.llama)}"[:300])
        else:
            remedy = "a build for the card: .ci/llama.sh --help"
            yield Diagnosis(AREA, "cards for llama.cpp", WARNING, "it was built for the processor alone", remedy)


def _of_torch(facts: Facts) -> Diagnosis:
    name = "cards for torch"
    build = f"torch {facts.torch}" + (
        f", HIP {facts.hip}" if facts.hip else f", CUDA {facts.cuda}" if facts.cuda else ""
    )
    if facts.torch_error:
        return Diagnosis(
            AREA, name, WARNING, f"it cannot be asked: {facts.torch_error}"[:500], "look at the driver's log"
        )
    wrong = [card.name for card in facts.cards if not card.is_right]
    if wrong:
        remedy = "use device: cpu until driver and build fit together"
        return Diagnosis(AREA, name, WARNING, f"{build}: computes wrongly on {', '.join(wrong)}", remedy)
    if facts.cards:
        shown = ", ".join(f"{card.name} ({card.arch}, {card.gigabytes:g} GB)" for card in facts.cards)
        return Diagnosis(AREA, name, GOOD, f"{build}: computed on {shown}"[:500])
    is_amd = AMD in facts.vendors
    if is_amd and facts.kfd == "closed":
        remedy = "add yourself to the groups that own it: sudo usermod -aG render,video $USER, and log in again"
        return Diagnosis(AREA, name, WARNING, f"{build}: /dev/kfd may not be opened", remedy)
    if is_amd and facts.kfd == "absent":
        remedy = "install AMD's kernel driver (amdgpu) for computing"
        return Diagnosis(AREA, name, WARNING, f"{build}: there is no /dev/kfd", remedy)
    fits = facts.hip if is_amd else facts.cuda
    if not fits:
        wanted = "ROCm" if is_amd else "CUDA"
        remedy = f"make clean; make setup TORCH_INDEX=<the {wanted} index that pytorch.org names>"
        return Diagnosis(AREA, name, WARNING, f"{build}: it was not built for {wanted}", remedy)
    remedy = "compare the driver's version with the build's"
    if is_amd:
        remedy += "; for a card that ROCm does not list, HSA_OVERRIDE_GFX_VERSION may help"
    return Diagnosis(AREA, name, WARNING, f"{build}: it finds no card", remedy)


def gathered() -> Facts:
    """The facts of this machine; asking torch takes seconds, so that is left out where nothing hints at a card."""
    vendors, tools, kfd = _vendors(Path("/sys/class/drm")), _tool_lines(), _kfd(Path("/dev/kfd"))
    if not vendors and not tools and kfd == "absent":
        return Facts()
    answer, error = child_line(_TORCH)
    told = json.loads(answer) if answer else {}
    cards = tuple(TorchCard(*card) for card in told.get("cards", ()))
    found, _ = child_line(_LLAMA)
    return Facts(
        vendors,
        kfd,
        tools,
        _rocm(Path("/opt/rocm/.info/version")),
        told.get("torch", ""),
        told.get("hip") or "",
        told.get("cuda") or "",
        cards,
        tuple(json.loads(found)) if found else None,
        error,
    )


def _vendors(drm: Path) -> tuple[str, ...]:
    """Makers of the cards that the kernel lists."""
    found = []
    for file in sorted(drm.glob("card*/device/vendor")):
        try:
            found.append(_VENDORS.get(file.read_text(encoding="ascii").strip(), ""))
        except (OSError, UnicodeDecodeError):
            continue
    return tuple(one for one in found if one)


def _kfd(device: Path) -> str:
    if not device.exists():
        return "absent"
    return "open" if os.access(device, os.R_OK | os.W_OK) else "closed"


def _rocm(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()[:40]
    except (OSError, UnicodeDecodeError):
        return ""


def _tool_lines() -> tuple[str, ...]:
    smi = _tool(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"])
    rocm = _tool(["rocminfo"])
    targets = re.findall(r"^\s*Name:\s+(gfx\w+)", rocm, re.M)
    names = re.findall(r"^\s*Marketing Name:\s+(.*\S)", rocm, re.M)
    nvidia = [line.strip() for line in smi.splitlines() if line.strip()]
    amd = [f"{name} ({target})" for target, name in zip(targets, names[-len(targets) :], strict=False)]
    return tuple((nvidia + amd)[:8])


def _tool(command: Sequence[str]) -> str:
    """What a maker's tool prints; empty where it is not there or fails."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""
