"""The peer of benchmarks/serving.py: FastAPI over Transformers with a project's network, as tutorials write it.

python benchmarks/serving_peer.py PROJECT PORT
"""

import sys
from pathlib import Path
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from pipeline.models import network


class Body(BaseModel):
    """A request."""

    texts: list[str]


def main(project: Path, port: int) -> None:
    """Serve until killed."""
    model, tokenizer, about = network.load(project / "data" / "export" / "bundle")
    model.eval()
    app = FastAPI()

    @app.get("/ping")
    def ping() -> str:
        """Whether it runs."""
        return "ok"

    @app.post("/predict")
    def predict(body: Body) -> list[dict[str, Any]]:
        """The label and the probability of each text."""
        tokens = tokenizer(
            body.texts, padding=True, truncation=True, max_length=about["max_length"], return_tensors="pt"
        )
        with torch.inference_mode():
            probabilities = model(tokens["input_ids"], tokens["attention_mask"])["logits"].softmax(-1)
        scores, best = probabilities.max(dim=-1)
        return [
            {"label": model.labels[index], "score": score}
            for index, score in zip(best.tolist(), scores.tolist(), strict=True)
        ]

    uvicorn.run(app, port=port, log_level="critical")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
