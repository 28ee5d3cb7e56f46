"""The built-in model's networks once more, in torch: an oracle for its training, and a quick trainer on a CPU."""
