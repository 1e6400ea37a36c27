"""Small models of `transformers` with random weights: each family, with each of its heads, at odd sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

transformers = pytest.importorskip("transformers")
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

VOCAB, LONGEST, PAD = 37, 29, 0
SIZES = {
    "hidden_size": 30,
    "num_hidden_layers": 5,
    "num_attention_heads": 3,
    "intermediate_size": 41,
    "vocab_size": VOCAB,
    "max_position_embeddings": LONGEST,
}
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.0}
IDS = {"pad_token_id": PAD, "bos_token_id": 3, "eos_token_id": 4}
GPT2 = {
    "n_embd": 30,
    "n_layer": 4,
    "n_head": 3,
    "vocab_size": VOCAB,
    "n_positions": LONGEST,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
    **IDS,
}
ALBERT = {
    **SIZES,
    "embedding_size": 7,
    "classifier_dropout_prob": 0.0,
    **IDS,
}
ROBERTA = {
    **SIZES,
    **STILL,
    "type_vocab_size": 1,
    "max_position_embeddings": LONGEST + 2,
    "pad_token_id": 1,
    "bos_token_id": 3,
    "eos_token_id": 4,
}
ROPE = {"rope_theta": 5000.0, "factor": 4.0}
LLAMA3 = {
    "rope_type": "llama3",
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
    **ROPE,
}
YARN = {"rope_type": "yarn", "original_max_position_embeddings": 16, **ROPE}
MODERN = {**SIZES, **IDS, "cls_token_id": 3, "sep_token_id": 4, "local_attention": 6}
CLASSES = {"num_labels": 3, "id2label": {0: "bad", 1: "so-so", 2: "good"}}

Case = tuple[str, str, dict[str, Any]]
CASES: dict[str, Case] = {
    "bert-mlm": ("Bert", "ForMaskedLM", {**SIZES, **STILL}),
    "bert-mlm-untied": ("Bert", "ForMaskedLM", {**SIZES, **STILL, "tie_word_embeddings": False}),
    "bert-pretraining": ("Bert", "ForPreTraining", {**SIZES, **STILL, "hidden_act": "relu"}),
    "bert-nsp": ("Bert", "ForNextSentencePrediction", {**SIZES, **STILL}),
    "bert-classes": ("Bert", "ForSequenceClassification", {**SIZES, **STILL, **CLASSES}),
    "bert": ("Bert", "Model", {**SIZES, **STILL}),
    "roberta-mlm": ("Roberta", "ForMaskedLM", ROBERTA),
    "roberta-mlm-untied": ("Roberta", "ForMaskedLM", {**ROBERTA, "tie_word_embeddings": False}),
    "roberta-classes": ("Roberta", "ForSequenceClassification", {**ROBERTA, **CLASSES}),
    "roberta": ("Roberta", "Model", ROBERTA),
    "xlm-roberta-mlm": ("XLMRoberta", "ForMaskedLM", ROBERTA),
    "albert-mlm": ("Albert", "ForMaskedLM", ALBERT),
    "albert-pretraining": (
        "Albert",
        "ForPreTraining",
        {**ALBERT, "num_hidden_layers": 6, "num_hidden_groups": 2},
    ),
    "albert-classes": ("Albert", "ForSequenceClassification", {**ALBERT, **CLASSES}),
    "albert": ("Albert", "Model", ALBERT),
    "gpt2-clm": ("GPT2", "LMHeadModel", GPT2),
    "gpt2-clm-untied": ("GPT2", "LMHeadModel", {**GPT2, "tie_word_embeddings": False}),
    "gpt2-classes": ("GPT2", "ForSequenceClassification", {**GPT2, **CLASSES}),
    "gpt2": ("GPT2", "Model", {**GPT2, "n_inner": 53}),
    "llama-clm-grouped": ("Llama", "ForCausalLM", {**SIZES, **IDS, "num_key_value_heads": 1}),
    "llama-clm-llama3": ("Llama", "ForCausalLM", {**SIZES, **IDS, "rope_parameters": LLAMA3}),
    "llama-clm-yarn": ("Llama", "ForCausalLM", {**SIZES, **IDS, "rope_parameters": YARN}),
    "llama-clm-tied": (
        "Llama",
        "ForCausalLM",
        {
            **SIZES,
            **IDS,
            "head_dim": 8,
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": True,
            "rope_parameters": {"rope_type": "linear", **ROPE},
        },
    ),
    "llama-classes": ("Llama", "ForSequenceClassification", {**SIZES, **IDS, **CLASSES}),
    "llama": ("Llama", "Model", {**SIZES, **IDS}),
    "modernbert-mlm": ("ModernBert", "ForMaskedLM", MODERN),
    "modernbert-mlm-untied": (
        "ModernBert",
        "ForMaskedLM",
        {**MODERN, "tie_word_embeddings": False, "norm_bias": True, "attention_bias": True},
    ),
    "modernbert-classes": ("ModernBert", "ForSequenceClassification", {**MODERN, **CLASSES}),
    "modernbert-classes-mean": (
        "ModernBert",
        "ForSequenceClassification",
        {**MODERN, **CLASSES, "classifier_pooling": "mean", "classifier_bias": True},
    ),
    "modernbert": (
        "ModernBert",
        "Model",
        {**MODERN, "layer_types": ["full_attention", "sliding_attention"] * 2 + ["full_attention"]},
    ),
}


def theirs(case: str, **more: Any) -> Any:
    """Returns a model of theirs, whose every parameter matters."""
    family, head, settings = CASES[case]
    config = getattr(transformers, f"{family}Config")(**{**settings, **more})
    torch.manual_seed(1)
    model = getattr(transformers, f"{family}{head}")(config).eval()
    for name, parameter in model.named_parameters():
        if name not in idle(model):
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    return model


def idle(model: Any) -> tuple[str, ...]:
    """Parameters of theirs that nothing reads: the bias of a head that is not tied is the decoder's."""
    names = dict(model.named_parameters())
    found = {"cls.predictions.bias": "cls.predictions.decoder.bias"}
    found["lm_head.bias"] = "lm_head.decoder.bias"
    return tuple(name for name, other in found.items() if name in names and other in names)


def batch(model: Any, side: str, length: int = 13) -> dict[str, Tensor]:
    """Returns rows of which some are padded on one side, with what else the model reads."""
    config = model.config
    is_token = torch.ones(3, length, dtype=torch.long)
    where = slice(length - 4, length) if side == "right" else slice(0, 4)
    is_token[0, where] = 0
    is_token[2, slice(5, length) if side == "right" else slice(0, length - 5)] = 0
    ids = torch.randint(5, VOCAB, (3, length)).masked_fill(is_token == 0, config.pad_token_id)
    given = {"input_ids": ids, "attention_mask": is_token}
    if getattr(config, "type_vocab_size", 0) == 2:
        given["token_type_ids"] = torch.randint(0, 2, (3, length))
    if "roberta" not in config.model_type:  # which finds them by itself, as lightformer does
        given["position_ids"] = (is_token.cumsum(dim=1) - 1).clamp(min=0)
    return given


def scores(output: Any) -> dict[str, Tensor]:
    """Returns what a model of theirs says, by our names."""
    named = {"last_hidden_state": "states", "prediction_logits": "tokens", "logits": "logits"}
    named |= {"seq_relationship_logits": "pair", "sop_logits": "pair", "pooler_output": "pooled"}
    return {named[key]: value for key, value in output.items() if key in named}


def all_cases(*heads: str) -> list[str]:
    """Returns the names of the cases with one of these heads."""
    return [name for name, (_, head, _) in CASES.items() if not heads or head in heads]
