"""The tasks: what a backbone is trained for."""

from lightformer.tasks.base import Task
from lightformer.tasks.bert import BertPretraining
from lightformer.tasks.causal_lm import CausalLM
from lightformer.tasks.classification import SequenceClassification
from lightformer.tasks.encoder import Encoder
from lightformer.tasks.masked_lm import MaskedLM
from lightformer.tasks.next_sentence import NextSentencePrediction

__all__ = [
    "BertPretraining",
    "CausalLM",
    "Encoder",
    "MaskedLM",
    "NextSentencePrediction",
    "SequenceClassification",
    "Task",
]
