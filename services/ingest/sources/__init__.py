"""Where packets and pictures come from: what a camera's `url` may name, opening it, and decoding it."""
