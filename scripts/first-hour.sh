#!/usr/bin/env bash
# The first hour with a model of one's own, as one script: a network that PyTorch exported, a folder of images, and every command that
# a user needs for 4 bits. Each step is checked for what it prints.
#
#     npm run build && bash scripts/first-hour.sh [FOLDER]
#
# FOLDER keeps what is made; without it, a temporary folder that is removed. SUBBYTE names another command than the built one.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
subbyte=${SUBBYTE:-"node $root/dist/cli/main.js"}
model=$root/examples/shapes/shapes.onnx
# What the network was trained with.
normalization="--set data.normalization=imagenet"
recipe="--batch 32 --threads 1"
# An accuracy of 90 % or more.
high="(9[0-9]|100)\.[0-9]+ %"

if [ $# -gt 0 ]; then
  mkdir -p "$1"
  work=$(cd "$1" && pwd)
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi
cd "$work"
node --import "file://$root/node_modules/tsx/dist/loader.mjs" "$root/scripts/draw-shapes.ts" images 40 1

count=0
output=""
# step NAME ARGUMENTS...: runs a command and keeps what it printed.
step() {
  local name=$1
  shift
  echo "· $name: subbyte $*"
  if ! output=$($subbyte "$@" 2>&1); then
    printf '%s\n' "$output" "FAILED: $name ended with an error"
    exit 1
  fi
}
# expects TEXT...: extended regular expressions, each of which some line of the last step has.
expects() {
  local text
  for text in "$@"; do
    if ! grep -qE -- "$text" <<<"$output"; then
      printf '%s\n' "$output" "FAILED: nothing matches: $text"
      exit 1
    fi
    count=$((count + 1))
  done
}
# without TEXT...: expressions that no line has.
without() {
  local text
  for text in "$@"; do
    if grep -qE -- "$text" <<<"$output"; then
      printf '%s\n' "$output" "FAILED: it should not say: $text"
      exit 1
    fi
    count=$((count + 1))
  done
}

step inspect inspect "$model"
expects "8 of 8 layers can be quantized" "integers: yes"

step "the file itself" eval "$model" --data images $normalization
expects "accuracy .* $high" "normalization .*0\.485" "40 images"

step "dry run" train --model "$model" --data images $normalization $recipe --epochs 2 --dry-run
expects "4 classes: circle, cross, square, triangle" "learningRate: 0\.002" "warmupEpochs: 1" "restoreBatchNorm: true" \
  "BatchNorm is put back after 7 convolutions" "integers: yes" "memory: about" "time: (about|less than)"

step float train --model "$model" --data images $normalization $recipe --epochs 2 --name float
expects "shapes\.onnx: accuracy $high on the 40 test images, before the training" "compiling the training step" \
  "BatchNorm is put back after 7 convolutions" "float shapes\.onnx $high → $high" "next: subbyte train --from runs/float"

step "4 bits" train --from runs/float --preset lsq --weight-bits 4 --activation-bits 4 $recipe --epochs 3 --lr 0.01 --name w4a4
expects "taken from .*runs/float" "16 / 16" "runs/float $high →" "next: subbyte diagnose runs/w4a4" "next: subbyte convert runs/w4a4"
without "data\.normalization=" "BatchNorm is put back"

step "the run" eval runs/w4a4
expects "levels of weights / activations .*16 / 16" "accuracy .*([6-9][0-9]|100)\.[0-9]+ %"

step "what went wrong" diagnose runs/w4a4
expects "finding|No problems found"

step integers convert runs/w4a4 --residual-bits 8 --format int --format c --verify --out converted
expects "onnx int .* 0 .$" "network\.c" "float: .*runs/float .* $high" "simulation.* %" "integers: .* %" "measured on 40 of 40 samples"

step "the map" study --model "$model" --data images $normalization --from runs/float --weight-bits 4,2 --activation-bits 4 \
  --recipes lsq --seeds 1 --epochs 1 --batch 32 --parallel 1 --threads 1 --no-diagnose --no-report --out study
expects "float" "W4|weights"
without "every trial failed|No trial finished"

step "the best mix of bits" mix "$model" --data images $normalization --budget W4A4 --weight-bits 2,4,8 --activation-bits 4,8 \
  --samples 64 --out mix.yaml
expects "^loading .*shapes\.onnx" "layers?.*(bits|W)" "mixed" "W4A4" "configuration: mix\.yaml" "subbyte train --config mix\.yaml"
step "the mix as a training" train --config mix.yaml --epochs 1 $recipe --dry-run
expects "integers: yes" "memory: about" "16 levels"

echo "first hour: $count expectations met"
