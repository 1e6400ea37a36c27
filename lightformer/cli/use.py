"""`generate` and `fill-mask`: a trained model put to use. They need a checkpoint and no config."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from lightformer.cli.arguments import Parser, load_given_plugins
from lightformer.errors import CheckpointError, ConfigError
from lightformer.paths import existing_checkpoint


class _Parser(Parser):
    """The options of a command that uses a trained model."""

    def __init__(self, command: str, what: str) -> None:
        super().__init__(command, what)
        self.add_argument("checkpoint", nargs="?", help="the checkpoint's file")
        self.add_argument("--ckpt_path", help="the same, by name")
        self.add_argument("--device", help="cpu, cuda, cuda:1 ...; a GPU where there is one")
        self.add_plugins()


def generate(command: str, arguments: list[str]) -> int:
    """Prints continuations of a prompt."""
    parser = _Parser(command, "Continues a prompt with a trained causal model.")
    add = parser.add_argument
    add("--prompt", default="", help="the text to go on from; - reads standard input")
    add("--max_new_tokens", type=_whole(1), default=100, help="how many tokens to add")
    add("--temperature", type=_number(0.0), default=1.0, help="below 1 plays safe, above 1 dares")
    add("--top_k", type=_whole(1), help="choose among the k likeliest tokens")
    add("--top_p", type=_number(0.0, 1.0), help="choose among the likeliest tokens that make up p")
    add("--greedy", action="store_true", help="always take the likeliest token")
    add("--num_samples", type=_whole(1), default=1, help="how many continuations")
    add("--seed", type=_whole(0), help="the same seed gives the same text")
    add("--no-cache", action="store_true", help="compute everything anew at each token")
    given = parser.read(arguments)
    prompt = sys.stdin.read() if given.prompt == "-" else given.prompt
    task = _load(parser, given, "generate_text", "generate needs a causal model")
    texts = task.generate_text(
        prompt,
        max_new_tokens=given.max_new_tokens,
        temperature=given.temperature,
        top_k=given.top_k,
        top_p=given.top_p,
        greedy=given.greedy,
        num_samples=given.num_samples,
        seed=given.seed,
        use_cache=not given.no_cache,
    )
    print("\n---\n".join(texts))
    return 0


def fill_mask(command: str, arguments: list[str]) -> int:
    """Prints what may stand in each gap of a text."""
    parser = _Parser(command, "Fills each [MASK] of a text with a trained masked model.")
    parser.add_argument("text", nargs="?", help='a text with gaps, such as "The [MASK] of a list"')
    parser.add_argument(
        "--top_k", type=_whole(1), default=5, help="how many proposals for each gap"
    )
    given = parser.read(arguments)
    if given.ckpt_path is not None and given.text is None:  # the only positional word is the text
        given.checkpoint, given.text = None, given.checkpoint
    if given.text is None:
        raise ConfigError('fill-mask needs a text with gaps, such as "The [MASK] of a list".')
    task = _load(parser, given, "fill_mask", "fill-mask needs a masked model")
    for number, gap in enumerate(task.fill_mask(given.text, given.top_k), start=1):
        print(f"[MASK] {number}")
        for token, probability in gap:
            print(f"  {probability:6.1%}  {token}")
    return 0


def _load(parser: _Parser, given: argparse.Namespace, method: str, need: str) -> Any:
    checkpoint = given.ckpt_path or given.checkpoint
    if checkpoint is None:
        raise ConfigError(f"{parser.prog} needs a checkpoint: {parser.prog} FILE.ckpt ....")
    if given.ckpt_path and given.checkpoint:
        raise ConfigError(
            f"{parser.prog}: a checkpoint was given twice, {given.checkpoint} and {checkpoint}."
        )
    existing_checkpoint(checkpoint)
    load_given_plugins(given)

    from lightformer import load

    task = load(checkpoint, _device(given.device))
    if not hasattr(task, method):
        raise CheckpointError(f"{need}, but {checkpoint} holds a {type(task).__name__}.")
    return task.eval()


def _device(wanted: str | None) -> Any:
    import torch

    if wanted is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=wanted).device
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"--device {wanted} is not there; use cpu, or leave it out.") from error


def _whole(least: int) -> Any:
    def whole(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be {least} or more, but is {value}")
        return value

    whole.__name__ = "whole number"
    return whole


def _number(above: float, most: float = float("inf")) -> Any:
    def number(text: str) -> float:
        value = float(text)
        if not above < value <= most:
            limit = f" and at most {most:g}" if most != float("inf") else ""
            raise argparse.ArgumentTypeError(f"must be above {above:g}{limit}, but is {value:g}")
        return value

    return number
