"""Writers against transformers: the words' scores of a converted Qwen3 and Qwen3.5, and what a chat template makes."""

import json

import mlx.core as mx
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from converters.language import make_writer  # noqa: E402
from mlx_model.languages import LANGUAGES  # noqa: E402
from mlx_model.run.write import Writer  # noqa: E402
from mlx_model.writing import compose_messages  # noqa: E402
from tests.tiny_language import save_tokenizer  # noqa: E402

WORDS = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 32, "vocab_size": 320}  # fmt: skip
LINEAR = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 32,
    "linear_value_head_dim": 32,
}
EYES = {"depth": 1, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 64}
# As Qwen3's own has them: no thoughts where none are wanted, and a plain loop over what is said.
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)


def make_qwen3():
    return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**WORDS, tie_word_embeddings=True))


def make_qwen3_5():
    """With eyes, as FLUX.3's own writer is published."""
    config = transformers.Qwen3_5Config(text_config={**WORDS, **LINEAR}, vision_config=EYES)
    return transformers.Qwen3_5ForConditionalGeneration(config)


@pytest.fixture(params=[make_qwen3, make_qwen3_5], ids=["qwen3", "qwen3.5"])
def both(request, tmp_path):
    """The model of transformers, and the writer that is made of its files."""
    torch.manual_seed(0)
    model = request.param().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3.0) if weight.ndim > 1 else weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(tmp_path / "published")
    save_tokenizer(tmp_path / "published")
    settings = json.loads((tmp_path / "published" / "tokenizer_config.json").read_text())
    (tmp_path / "published" / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": CHAT}))
    list(make_writer(LANGUAGES["qwen3-4b"], tmp_path / "published", tmp_path / "published", tmp_path / "made", 16))
    return model, Writer.open(tmp_path / "made", 2**40), tmp_path / "published"


def test_the_scores_of_the_next_word_are_the_same(both):
    model, writer, _ = both
    tokens = np.random.default_rng(0).integers(5, 300, (1, 24))
    with torch.no_grad():
        theirs = model(torch.tensor(tokens)).logits.numpy()
    ours = np.array(writer.model(mx.array(tokens)).astype(mx.float32))
    assert np.abs(theirs).max() > 1
    assert np.abs(ours - theirs).max() < 2e-4 * np.abs(theirs).max()


def test_a_conversation_becomes_the_same_tokens(both):
    _, writer, published = both
    theirs = transformers.AutoTokenizer.from_pretrained(published)
    for messages in (
        compose_messages("@fox in the snow"),
        compose_messages("@1 at night  ", ["@1 (fox)"], changes=True),
        compose_messages("ein Wolf – 木 🐺", makers="Describe."),
    ):
        said = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, enable_thinking=False)
        assert writer._make_prompt(messages) == theirs(said, add_special_tokens=False)["input_ids"]
        assert said.endswith("<think>\n\n</think>\n\n")
