"""A sentence encoder as an ONNX file, by PyTorch's exporter; run inside the environment of Transformers.

python onnxexport.py DIRECTORY MODEL.onnx
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def export(directory: str, target: str) -> None:
    """Tokens and mask in, the last hidden states out; pooling is the caller's."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(directory, attn_implementation="eager").eval()

    class Hidden(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    tokens = torch.ones(2, 16, dtype=torch.int64)
    batch, length = torch.export.Dim("batch", min=1, max=512), torch.export.Dim("length", min=2, max=512)
    torch.onnx.export(
        Hidden(),
        (tokens, torch.ones_like(tokens)),
        target,
        input_names=["input_ids", "attention_mask"],
        output_names=["hidden"],
        dynamic_shapes=({0: batch, 1: length}, {0: batch, 1: length}),
        dynamo=True,
        external_data=False,
    )
    print(json.dumps({"bytes": Path(target).stat().st_size}))


if __name__ == "__main__":
    export(*sys.argv[1:])
