#!/usr/bin/env bash
# Trains the bundled reader from nothing and exports it. Run from the repository root.
# Needs Python 3.11 with torch 2.15, transformers 5.23, tokenizers, safetensors, numpy, pillow 11.3.
# Two cores: stages 1 and 2 take about an hour each and can run side by side, stage 3 about an hour.
set -euo pipefail
out=${1:-target/training}
mkdir -p "$out"
cargo build --release -p whittle-pages --example stream
stream=target/release/examples/stream
python training/tokenizer.py "$out/tokenizer"
common=(--stream "$stream" --tokenizer "$out/tokenizer" --threads 1)
python training/text_stage.py "${common[@]}" --out "$out/text.pt" --steps 7000 --stop 2000 &
python training/vision_stage.py "${common[@]}" --out "$out/vision.pt" --steps 4400
wait
python training/joint_stage.py "${common[@]}" --threads 2 --text "$out/text.pt" --vision "$out/vision.pt" \
    --out "$out/joint.pt" --batch 8 --steps 1800
python training/export.py --weights "$out/joint.pt" --stream "$stream" --out models/reader
