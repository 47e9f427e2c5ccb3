"""Side-by-side benchmarks: tfgen and a peer, the same work, in one run."""
