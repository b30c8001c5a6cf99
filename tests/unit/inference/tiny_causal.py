"""A tiny causal language model made on the spot, as ``cortex models pull`` leaves one."""

from pathlib import Path

from inference.models import MANIFEST, ModelFiles, ModelPlaces, file_digest, model_folder, pulled_model, write_json

CONTEXT = 4096
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
WORDS = [
    "the cat sat on the mat",
    "how many roads must a man walk down",
    "def sign(key): return key",
    "äöü ß € 漢字",
] * 4


def tiny(folder: Path, template: str | None = TEMPLATE) -> None:
    """A Llama of two layers with seeded weights and a tokenizer of its own."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>"]
    raw.train_from_iterator(
        WORDS,
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    torch.manual_seed(5)
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT,
            bos_token_id=0,
            eos_token_id=1,
            initializer_range=0.2,
            tie_word_embeddings=False,
        )
    )
    with torch.no_grad():
        network.lm_head.weight[:5] = 0.0  # the likeliest token is never a special one: answers are long
    network.save_pretrained(folder)


def pulled(places: ModelPlaces, name: str, folder: Path) -> ModelFiles:
    """What is in ``folder``, as ``cortex models pull`` leaves it."""
    to = model_folder(name, places.models_dir)
    to.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return closed(name, to)


def closed(name: str, folder: Path) -> ModelFiles:
    """The manifest of what is there now."""
    digests = {path.name: file_digest(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    write_json(folder / MANIFEST, {"repo_id": name, "revision": "c" * 40, "files": digests})
    return pulled_model(name, folder.parent)
