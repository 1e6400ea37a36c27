"""A newcomer's mistakes, and the sentence that each prints."""

import pytest

from lightformer.cli.main import main
from lightformer.cli.run import prepare

CONFIG = """model:
  name: MaskedLM
  backbone:
    hidden_size: 32
    attention: {name: gqa, num_kv_heads: 2}
data: PythonDocs
"""
BACKBONE = (
    "attention, block, dropout, embedding_size, feedforward, head_dim, hidden_size, init, "
    "intermediate_size, is_causal, max_seq_len, norm, norm_embeddings, num_heads, num_layer_groups, "
    "num_layers, num_segments, pattern, position, scale_embeddings"
)


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """Runs a command line that is wrong, and returns the last line on standard error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ok.yaml").write_text(CONFIG)
    (tmp_path / "evil.py").write_text("open('HACKED', 'w')\n")

    def run(line: str, config: str = "", code: int = 2) -> str:
        (tmp_path / "x.yaml").write_text(config)
        assert main(line.split()) == code
        assert not (tmp_path / "HACKED").exists()
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert err.startswith("error: ")
        return err.removeprefix("error: ").rstrip("\n")

    return run


COMMAND_LINES = {
    "fti": (
        "There is no command 'fti'. Did you mean 'fit'? "
        "Commands: bench, data, export-hf, export-onnx, fill-mask, fit, generate, import-hf, plugins, predict, "
        "prepare, test, validate."
    ),
    "--config ok.yaml fit": (
        "The command comes first: lightformer COMMAND --config ..., not --config ...."
    ),
    "fit nonsense": (
        "'nonsense' is not an option; write --KEY VALUE, such as --config FILE.yaml "
        "or --trainer.max_steps 100."
    ),
    "fit -c ok.yml": (
        "There is no config file 'ok.yml'. Did you mean 'ok.yaml'? Files there: ok.yaml, x.yaml."
    ),
    "fit -c ok.yaml --trainer.max_step 3": (
        "--trainer.max_step: trainer has no option 'max_step'. Did you mean 'max_steps'? "
        "See lightformer fit --trainer.help."
    ),
    "fit -c ok.yaml --trainer.max_steps three": (
        "--trainer.max_steps: max_steps must be a whole number, but is 'three'."
    ),
    "fit -c ok.yaml --model.backbone.atention gqa": (
        "--model.backbone.atention: model.backbone has no option 'atention'. "
        f"Did you mean 'attention'? Its options: {BACKBONE}."
    ),
    "fit -c ok.yaml --model.backbone.attention gqqa": (
        "--model.backbone.attention: there is no attention 'gqqa'. Did you mean 'gqa'? "
        "Known: differential, gqa, linear, mha, sliding_window."
    ),
    "fit -c ok.yaml --model.backbone.attention.qk_norm rms_nrm": (
        "--model.backbone.attention.qk_norm: there is no norm 'rms_nrm'. Did you mean 'rms_norm'? "
        "Known: dyt, layer_norm, rms_norm."
    ),
    "fit -c ok.yaml --model.backbone.attention.num_kv_head 2": (
        "--model.backbone.attention.num_kv_head: attention 'gqa' has no option 'num_kv_head'. "
        "Did you mean 'num_kv_heads'? Its options: bias, dropout, gate, num_kv_heads, qk_norm, sink, softcap."
    ),
    "fit -c ok.yaml --model.backbone.attention sliding_window": (
        "--model.backbone.attention: attention 'sliding_window' needs window, which has no default; "
        "add --model.backbone.attention.window VALUE."
    ),
    "fit -c ok.yaml --model.backbone.feedforward.activation gleu": (
        "--model.backbone.feedforward.activation: activation cannot be 'gleu'. "
        "Did you mean 'gelu'? Known: gelu, gelu_tanh, relu, relu_squared, silu, tanh."
    ),
    "fit -c ok.yaml --model.backbone.norm.bias 3": (
        "--model.backbone.norm.bias: bias must be true or false, but is 3."
    ),
    "fit -c ok.yaml --data.examples.seq_le 3": (
        "--data.examples.seq_le: examples 'windows' has no option 'seq_le'. "
        "Did you mean 'seq_len'? Its options: seq_len, special_tokens."
    ),
    "fit -c ok.yaml --model os.system": (
        "--model: model 'os.system' is not imported, because 'os' was not loaded as a plugin; "
        "choose one of BertPretraining, CausalLM, Encoder, MaskedLM, NextSentencePrediction, "
        "SequenceClassification, or load your own with --plugins."
    ),
    "fit -c ok.yaml --data evil.Thing": (
        "--data: data 'evil.Thing' is not imported, because 'evil' was not loaded as a plugin; "
        "choose one of LabelledFiles, LabelledPythonDocs, PythonDocs, TextFiles, "
        "or load your own with --plugins."
    ),
    "fit -c ok.yaml --trainer.callbacks evil.Thing": (
        "--trainer.callbacks: callbacks 'evil.Thing' is not imported, because 'evil' was not loaded "
        "as a plugin; load your own with --plugins."
    ),
    "fit -c ok.yaml --plugins evol": (
        "There is no module 'evol' to load as a plugin. Did you mean 'evil'? Modules here: evil."
    ),
    "fit -c ok.yaml --plugins evol.py": (
        "There is no plugin file 'evol.py'. Did you mean 'evil.py'? Files there: evil.py."
    ),
    "fit -c ok.yaml --model.help MaskedLn": (
        "There is no model 'MaskedLn'. Did you mean 'MaskedLM'? Known: BertPretraining, CausalLM, "
        "Encoder, MaskedLM, NextSentencePrediction, SequenceClassification."
    ),
    "plugins show attention gqqa": (
        "There is no attention 'gqqa'. Did you mean 'gqa'? "
        "Known: differential, gqa, linear, mha, sliding_window."
    ),
    "plugins lst": (
        "There is no command `plugins lst`. Did you mean 'list'? "
        "Commands: check, list, matrix, new, probe, show."
    ),
    "plugins show attention": "Write `lightformer plugins show KIND NAME`.",
    "plugins check attention mha --skp order": (
        "`plugins check` has no option '--skp'. Did you mean '--skip'? "
        "Its options: --no-local-plugins, --options, --plugins, --sizes, --skip."
    ),
    "plugins check attention mha --skip": "--skip needs a value.",
    "plugins list --kind norm --kind block": "--kind is given twice; give it once.",
    'plugins check norm rms_norm --options {"name":"layer_norm"}': (
        "--options: norm 'rms_norm' has no option 'name'; to try another part, write that in place of 'rms_norm'."
    ),
    'plugins check norm rms_norm --sizes {"hidden_size":1}': (
        "hidden_size must be at least 3, so that promises can be tried, but is 1."
    ),
    "plugins check atention mha": (
        "There is no kind 'atention' of part. Did you mean 'attention'? Kinds: adapter, attention, block, "
        "examples, feedforward, init, masking, norm, optimizer, position, scaling, schedule."
    ),
    "plugins check attention mhaa": (
        "There is no attention 'mhaa'. Did you mean 'mha'? "
        "Known: differential, gqa, linear, mha, sliding_window."
    ),
}


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_command_line(said, line: str) -> None:
    assert said(line) == COMMAND_LINES[line]


@pytest.mark.parametrize("command", ["matrix", "probe"])
@pytest.mark.parametrize(
    ("page", "why"), [("none/x.md", "No such file or directory"), (".", "Is a directory")]
)
def test_a_page_that_cannot_be_written_is_refused_before_all_else(
    said, command: str, page: str, why: str
) -> None:
    line = f"plugins {command} --attention mhaa --markdown {page}"
    assert said(line, code=5) == f"{page} cannot be written: {why}."


CONFIGS = {
    "modle: MaskedLM\n": "x.yaml:1: there is no option 'modle'. Did you mean 'model'? Known: ",
    "model:\n  name: MaskedLn\ndata: PythonDocs\n": (
        "x.yaml:2: there is no model 'MaskedLn'. Did you mean 'MaskedLM'? Known: "
    ),
    "model:\n  name: MaskedLM\n  backbone:\n    hidden_sise: 3\ndata: PythonDocs\n": (
        "x.yaml:4: model.backbone has no option 'hidden_sise'. Did you mean 'hidden_size'? "
    ),
    "model:\n  class_path: os.system\n  init_args: {command: touch HACKED}\ndata: PythonDocs\n": (
        "x.yaml:2: model 'os.system' is not imported, because 'os' was not loaded as a plugin; "
    ),
    "model: evil.Thing\ndata: PythonDocs\n": "x.yaml:1: model 'evil.Thing' is not imported, ",
    "model:\n  name: MaskedLM\n  backbone:\n    pattern:\n"
    "      - {}\n      - attention: {name: sliding_window, windw: 3}\ndata: PythonDocs\n": (
        "x.yaml:6: attention 'sliding_window' has no option 'windw'. Did you mean 'window'? "
    ),
    "model: MaskedLM\ndata: TextFiles\n": (
        "x.yaml:2: data 'TextFiles' needs train, which has no default; add --data.train VALUE."
    ),
    "model: MaskedLM\ndata: PythonDocs\ntrainer:\n  callbacks:\n"
    "    - class_path: lightning.pytorch.callbacks.Timer\n    - class_path: evil.Thing\n": (
        "x.yaml:6: callbacks 'evil.Thing' is not imported, "
    ),
    "model: {name: MaskedLM, backbone: 3}\ndata: PythonDocs\n": (
        "x.yaml:1: backbone must be a mapping, but is 3."
    ),
    "model: {name: MaskedLM, optimizer: {lr: fast}}\ndata: PythonDocs\n": (
        "x.yaml:1: lr must be a number, but is 'fast'."
    ),
    "model: {name: MaskedLM, backbone: {attention: 3}}\ndata: PythonDocs\n": (
        "x.yaml:1: attention must be a name or a mapping with a name, not 3."
    ),
    "plugins: 3\nmodel: MaskedLM\n": "plugins must be a list of modules and files, but is 3.",
    "trainer: {max_steps: 3}\n": "lightformer fit: no model is chosen; give a config, ",
    "model: MaskedLM\n": "lightformer fit: no data is chosen; give a config, ",
}


@pytest.mark.parametrize("config", CONFIGS, ids=range(len(CONFIGS)))
def test_config(said, config: str) -> None:
    sentence = said("fit -c x.yaml", config)
    assert sentence.startswith(CONFIGS[config])
    assert sentence.endswith(".")


def test_later_values_win_and_a_switch_forgets_old_options(said) -> None:
    wrong = "model: {backbone: {attention: {name: mha}}}\n"
    line = "fit -c ok.yaml -c x.yaml --model.backbone.attention.num_kv_heads 2"
    assert said(line, wrong).startswith(
        "--model.backbone.attention.num_kv_heads: attention 'mha' has no option 'num_kv_heads'."
    )


def test_a_switch_alone_is_no_mistake(said) -> None:
    line, _ = prepare("fit", ["-c", "ok.yaml", "--model.backbone.attention", "mha"])
    assert line.tree["model"]["backbone"]["attention"] == {"name": "mha"}


def test_checkpoint_that_does_not_exist(said) -> None:
    assert said("validate --ckpt_path no.ckpt", code=4) == "There is no checkpoint no.ckpt."
    assert said("validate --ckpt_path evil.py", code=4) == (
        "evil.py has no config.yaml in the folder above its own, so its model and data are not "
        "known; name a config with --config."
    )
