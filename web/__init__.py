"""The runtime for browsers and other hosts of WebAssembly."""
