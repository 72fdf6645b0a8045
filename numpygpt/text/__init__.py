"""Text in, token ids out: the byte-pair trainer, the tokenizers, GPT-2's vocabulary files."""
