"""Text to tokens to batches: the data modules, and what they are made of."""

from lightformer.data.labelled_files import LabelledFiles
from lightformer.data.labelled_python_docs import LabelledPythonDocs
from lightformer.data.loader import EvaluationLoader, StepLoader
from lightformer.data.module import DataModule
from lightformer.data.python_docs import PythonDocs
from lightformer.data.samples import Samples
from lightformer.data.sentences import Document
from lightformer.data.text_files import TextFiles
from lightformer.tokenizer import Tokenizer, TokenizerConfig

__all__ = [
    "DataModule",
    "Document",
    "EvaluationLoader",
    "LabelledFiles",
    "LabelledPythonDocs",
    "PythonDocs",
    "Samples",
    "StepLoader",
    "TextFiles",
    "Tokenizer",
    "TokenizerConfig",
]
