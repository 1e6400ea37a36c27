"""Folders of the `transformers` library (config.json, safetensors, tokenizer.json), read and written without it.

A family (BERT, Llama ...) is a table: which setting of theirs is which of ours, and which of their tensors is which.
"""
