"""transformers' GPT-2 and ours: one folder, one function, one gradient."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.layers.parameter import Array
from numpygpt.pretrained import layout

torch = pytest.importorskip("torch", reason="needs the extra [bench]")
transformers = pytest.importorskip("transformers", reason="needs the extra [bench]")
pytest.importorskip("safetensors", reason="needs the extra [hf]")

# V, T, C, H, L, tied
SHAPES = [(61, 19, 24, 3, 2, True), (37, 11, 35, 5, 3, False), (13, 7, 8, 1, 1, True)]
KINDS = {"float64": 1e-9, "float32": 1e-4}


@pytest.fixture(autouse=True)
def quiet() -> None:
    """No progress bars and no hints of transformers."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def theirs(shape: tuple[int, int, int, int, int, bool], dtype: str, seed: int = 0) -> Any:
    """A random GPT-2 of transformers, with biases and gains of order 1 too."""
    V, T, C, H, L, tied = shape
    config = transformers.GPT2Config(
        vocab_size=V,
        n_positions=T,
        n_embd=C,
        n_head=H,
        n_layer=L,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=None,
        **dict.fromkeys(layout.DROPOUTS, 0.0),
    )
    model = transformers.GPT2LMHeadModel(config).to(getattr(torch, dtype))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            p.copy_(noise * (C**-0.5 if p.ndim > 1 else 0.5) + (".ln" in name) * (p.ndim == 1))
    return model


def batch(V: int, T: int) -> Array:
    """Two sequences of the longest T that the model takes, and one token more for targets."""
    return np.random.default_rng(5).integers(V, size=(2, T + 1))


def relative_error(a: Array, b: Array) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", KINDS)
def test_logits_loss_and_every_gradient_agree(
    shape: tuple[int, int, int, int, int, bool], dtype: str, tmp_path: Path
) -> None:
    model = theirs(shape, dtype)
    model.save_pretrained(tmp_path)
    ours = GPT.from_pretrained(tmp_path, dtype)
    assert ours.config.tie_weights == shape[-1]
    ids = batch(*shape[:2])
    inputs, targets = ids[:, :-1], ids[:, 1:]
    logits = model(torch.tensor(inputs)).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.tensor(targets).flatten())
    loss.backward()
    tolerance = KINDS[dtype]
    assert relative_error(ours.forward(inputs), logits.detach().numpy()) < tolerance
    ours.train()
    assert ours.loss(inputs, targets) == pytest.approx(loss.item(), rel=tolerance)
    ours.backward()
    gradients = {name.removeprefix("transformer."): p.grad for name, p in model.named_parameters()}
    parameters = dict(ours.named_parameters())
    for name, our_name in layout.names(ours.config):
        # The key bias has gradient 0, so errors are measured against the whole bias's largest.
        error = relative_error(parameters.pop(our_name).grad, gradients.pop(name).numpy())
        assert error < tolerance, name
    assert not gradients
    assert not parameters


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_transformers_reads_what_we_write(tied: bool, qkv_bias: bool, tmp_path: Path) -> None:
    ours = GPT(GPTConfig(37, 11, 35, 5, 3, qkv_bias=qkv_bias, tie_weights=tied), 0, np.float64)
    draw_parameters(ours, np.random.default_rng(1))
    ours.save_pretrained(tmp_path)
    model, report = transformers.GPT2LMHeadModel.from_pretrained(
        tmp_path, dtype=torch.float64, output_loading_info=True
    )
    assert not any(report.values()), report
    inputs = batch(37, 11)[:, :-1]
    logits = model.eval()(torch.tensor(inputs)).logits.detach().numpy()
    assert relative_error(ours.forward(inputs), logits) < 1e-12
    for key, value in json.loads((tmp_path / "config.json").read_text()).items():
        if key not in ("architectures", "dtype"):
            assert getattr(model.config, key) == value, key


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_half_precision_means_the_same_numbers_to_both(dtype: str, tmp_path: Path) -> None:
    """Their file in ours, and ours, rounded, in theirs: bit for bit."""
    model = theirs(SHAPES[0], dtype)
    model.save_pretrained(tmp_path / "theirs")
    ours = GPT.from_pretrained(tmp_path / "theirs")
    wide = theirs(SHAPES[0], "float32", seed=7)
    wide.save_pretrained(tmp_path / "wide")
    GPT.from_pretrained(tmp_path / "wide").save_pretrained(tmp_path / "ours", dtype)
    narrow = transformers.GPT2LMHeadModel.from_pretrained(
        tmp_path / "ours", dtype=getattr(torch, dtype)
    )
    parameters = dict(ours.named_parameters())
    state, wide_state = narrow.state_dict(), wide.to(getattr(torch, dtype)).state_dict()
    for name, our_name in layout.names(ours.config):
        full = "transformer." + name
        expected = model.state_dict()[full].float().numpy()
        np.testing.assert_array_equal(parameters[our_name].data, expected, err_msg=name)
        assert torch.equal(state[full], wide_state[full]), name


def test_their_shards_and_their_bare_model(tmp_path: Path) -> None:
    model = theirs(SHAPES[0], "float64")
    model.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    model.transformer.save_pretrained(tmp_path / "bare")
    inputs = batch(*SHAPES[0][:2])[:, :-1]
    logits = model(torch.tensor(inputs)).logits.detach().numpy()
    for folder in ("shards", "bare"):
        ours = GPT.from_pretrained(tmp_path / folder, np.float64)
        assert relative_error(ours.forward(inputs), logits) < 1e-12


@pytest.mark.parametrize("name", ["GPTNeoConfig", "OPTConfig"])
def test_other_architectures_are_refused_by_name(name: str, tmp_path: Path) -> None:
    config = getattr(transformers, name)()
    config.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f"expected model_type 'gpt2', got '{config.model_type}'"):
        GPT.from_pretrained(tmp_path)


def test_another_activation_is_refused(tmp_path: Path) -> None:
    """Their exact GELU is not the tanh form: refused instead of nearly right."""
    model = theirs(SHAPES[2], "float64")
    model.config.activation_function = "gelu"
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"activation_function 'gelu_new' or .*, got 'gelu'"):
        GPT.from_pretrained(tmp_path)
