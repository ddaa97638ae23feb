"""Export: the model that ships becomes a bundle of safetensors and ONNX, checked against torch and calibrated."""

from pipeline.stages.export.run import export_onnx, quantise_to_int8, run

__all__ = ["export_onnx", "quantise_to_int8", "run"]
