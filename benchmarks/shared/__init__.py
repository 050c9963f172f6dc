"""What benchmarks share that is no benchmark itself."""
