"""Times enformer-pytorch; run by forward.py with the interpreter of the peers' environment."""

import argparse
import json
import statistics
import time

import torch
from enformer_pytorch import Enformer


def main() -> None:
    """Prints JSON: seconds of every timed pass, and the versions."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(options.threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    model = Enformer.from_hparams(
        dim=1536,
        depth=11,
        heads=8,
        output_heads={"human": 5313, "mouse": 1643},
        target_length=896,
    )
    model = model.eval().to(device)
    codes = torch.randint(0, 4, (1, options.length), device=device)
    sequence = torch.nn.functional.one_hot(codes, 4).float()
    seconds = []
    with torch.no_grad():
        for _ in range(options.repeats + 1):
            start = time.perf_counter()
            output = model(sequence, head="human")
            float(output.sum())
            seconds.append(time.perf_counter() - start)
    print(
        json.dumps(
            {
                "seconds": seconds[1:],
                "median": statistics.median(seconds[1:]),
                "torch": torch.__version__,
                "shape": list(output.shape),
                "device": device,
            }
        )
    )


if __name__ == "__main__":
    main()
