# The image of a GPU runner: what .github/workflows/release-gate.yml and examples/gitlab-ci.yml run the gate in.
# It was written and not built: there was no Docker daemon and no GPU where it was written. It holds no weights;
# mount a folder that stays at /var/cache/lora_checks, and let the policy's `root:`, `path:` and `file:` point there.
#
#   docker build -t lora-checks .
#   docker run --rm --gpus all -v lora-cache:/var/cache/lora_checks -v "$PWD":/work lora-checks \
#     python3 -m pytest --lora-policy gate --lora out/person.safetensors --lora-report gate-report
FROM python:3.12-slim-bookworm

# insightface builds a small extension where there is no wheel of it; OpenCV needs libgl and libglib.
RUN apt-get update \
 && apt-get install -y --no-install-recommends git g++ libgl1 libglib2.0-0 \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY lora_checks ./lora_checks
COPY examples/miniature ./examples/miniature
# PyPI's torch for Linux brings CUDA's libraries itself; the driver is the host's, through --gpus.
# onnxruntime and onnxruntime-gpu are one package under two names: the second must be the last to write its files.
RUN pip install --no-cache-dir '.[release]' \
 && pip uninstall --yes onnxruntime \
 && pip install --no-cache-dir 'onnxruntime-gpu>=1.18'

RUN useradd --create-home --uid 1000 gate \
 && install -d -o gate -g gate /var/cache/lora_checks /work
USER gate
ENV HF_HOME=/var/cache/lora_checks/huggingface \
    TORCH_HOME=/var/cache/lora_checks/torch
WORKDIR /work
CMD ["python3", "-m", "pytest", "--help"]
