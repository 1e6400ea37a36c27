"""Trained models as files of ONNX, which run where there is no torch."""

from lightformer.onnx.exporting import Exported, export_onnx

__all__ = ["Exported", "export_onnx"]
