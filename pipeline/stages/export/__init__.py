"""Export: the model that ships becomes a bundle of safetensors and ONNX, checked against torch and calibrated."""

from pipeline.stages.export.run import quantise_to_int8, run

__all__ = ["quantise_to_int8", "run"]
