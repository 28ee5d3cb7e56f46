#!/bin/sh
# mflux 0.24.0 in an environment of its own, for tests.bench.step: sh tests/bench/step/install_mflux.sh FOLDER
# Without its dependencies' pins, as they hold an older MLX: both programs are traced with the same one.
set -e
python3 -m venv "$1"
"$1/bin/pip" install -q "mlx[cpu]==0.32.4" torch==2.13.0 numpy "transformers>=5.5,<6" safetensors pillow \
  huggingface-hub tqdm toml platformdirs filelock piexif pyyaml regex sentencepiece protobuf requests \
  opencv-python-headless matplotlib fonttools anyio psutil
"$1/bin/pip" install -q --no-deps mflux==0.24.0
