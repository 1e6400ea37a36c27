"""`generate` and `fill-mask`: what they hand on, what they print, what they refuse."""

from pathlib import Path

import pytest

import lightformer
from lightformer.cli.main import main


class Fake:
    """Stands for a trained model, and notes what it is asked."""

    def __init__(self, **methods) -> None:
        self.asked: dict = {}
        for name, answer in methods.items():
            setattr(self, name, self._method(answer))

    def _method(self, answer):
        def method(text, *given, **options):
            self.asked = {"text": text, "given": given, **options}
            return answer

        return method

    def eval(self) -> "Fake":
        return self


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.ckpt").write_text("")

    def make(**methods) -> Fake:
        fake = Fake(**methods)
        monkeypatch.setattr(lightformer, "load", lambda *_: fake, raising=False)
        return fake

    return make


def test_generate_hands_on_every_option(model, capsys) -> None:
    fake = model(generate_text=["one", "two"])
    line = "generate a.ckpt --prompt Once --max_new_tokens 7 --temperature 0.5 --top_k 3 --top_p .9"
    assert main([*line.split(), "--greedy", "--num_samples", "2", "--seed", "5", "--no-cache"]) == 0
    assert capsys.readouterr().out == "one\n---\ntwo\n"
    assert fake.asked == {
        "text": "Once",
        "given": (),
        "max_new_tokens": 7,
        "temperature": 0.5,
        "top_k": 3,
        "top_p": 0.9,
        "greedy": True,
        "num_samples": 2,
        "seed": 5,
        "use_cache": False,
    }


def test_options_that_are_handed_on_are_those_of_the_task(model) -> None:
    import inspect

    from lightformer.tasks import CausalLM, MaskedLM

    fake = model(generate_text=[""], fill_mask=[])
    assert main(["generate", "--ckpt_path", "a.ckpt"]) == 0
    parameters = set(inspect.signature(CausalLM.generate_text).parameters) - {"self", "prompt"}
    assert set(fake.asked) - {"text", "given"} == parameters
    assert main(["fill-mask", "a.ckpt", "x"]) == 0
    inspect.signature(MaskedLM.fill_mask).bind(None, fake.asked["text"], *fake.asked["given"])


def test_fill_mask_prints_each_gap(model, capsys) -> None:
    fake = model(fill_mask=[[("cat", 0.75), ("dog", 0.125)], [("mat", 1.0)]])
    assert (
        main(["fill-mask", "--ckpt_path", "a.ckpt", "the [MASK] on a [MASK]", "--top_k", "2"]) == 0
    )
    assert fake.asked == {"text": "the [MASK] on a [MASK]", "given": (2,)}
    assert capsys.readouterr().out == (
        "[MASK] 1\n   75.0%  cat\n   12.5%  dog\n[MASK] 2\n  100.0%  mat\n"
    )


REFUSED = {
    "generate": (2, "lightformer generate needs a checkpoint: lightformer generate FILE.ckpt ...."),
    "generate b.ckpt": (
        4,
        "There is no checkpoint b.ckpt. Did you mean 'a.ckpt'? In that folder: a.ckpt.",
    ),
    "generate a.ckpt --prompt": (
        2,
        "lightformer generate: argument --prompt: expected one argument.",
    ),
    "generate a.ckpt --topk 3": (
        2,
        "lightformer generate has no option '--topk'. Did you mean '--top_k'? Known: --ckpt_path, "
        "--device, --greedy, --help, --max_new_tokens, --no-cache, --no-local-plugins, --num_samples, "
        "--plugins, --prompt, --seed, --temperature, --top_k, --top_p.",
    ),
    "generate a.ckpt --top_k 0": (
        2,
        "lightformer generate: argument --top_k: must be 1 or more, but is 0.",
    ),
    "generate a.ckpt --top_p 1.5": (
        2,
        "lightformer generate: argument --top_p: must be above 0 and at most 1, but is 1.5.",
    ),
    "generate a.ckpt --temperature warm": (
        2,
        "lightformer generate: argument --temperature: invalid number value: 'warm'.",
    ),
    "generate a.ckpt": (4, "generate needs a causal model, but a.ckpt holds a Fake."),
    "fill-mask a.ckpt": (
        2,
        'fill-mask needs a text with gaps, such as "The [MASK] of a list".',
    ),
    "fill-mask a.ckpt x": (4, "fill-mask needs a masked model, but a.ckpt holds a Fake."),
    "fill-mask a.ckpt x --ckpt_path a.ckpt": (
        2,
        "lightformer fill-mask: a checkpoint was given twice, a.ckpt and a.ckpt.",
    ),
}


@pytest.mark.parametrize("line", REFUSED)
def test_refused(model, capsys, line: str) -> None:
    model()
    code, sentence = REFUSED[line]
    assert main(line.split()) == code
    assert capsys.readouterr().err == f"error: {sentence}\n"
