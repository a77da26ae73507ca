"""What tests and benchmarks share: factories, clients, servers, load."""
