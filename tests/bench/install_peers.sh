#!/bin/sh
# mflux 0.24.0 and diffusers in an environment of their own, which benches run beside ours:
#     sh tests/bench/install_peers.sh FOLDER
# mflux without its dependencies' pins, as they hold an older MLX: both programs are measured with the same one.
set -e
python3 -m venv "$1"
"$1/bin/pip" install -q "mlx[cpu]==0.32.4" torch==2.13.0 numpy "transformers>=5.5,<6" safetensors pillow \
  huggingface-hub tqdm toml platformdirs filelock piexif pyyaml regex sentencepiece protobuf requests \
  opencv-python-headless matplotlib fonttools anyio psutil "diffusers>=0.42"
"$1/bin/pip" install -q --no-deps mflux==0.24.0
