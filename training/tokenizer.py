"""Writes the reader's tokenizer: byte-level BPE in which lower-case question words are whole tokens and
upper-case letters and digits stay single characters, so that a page is copied character by character."""

import sys
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL = ["<pad>", "<s>", "</s>", "<image>", "[INST]", "[/INST]"]
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST]' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}{{ '\\n' }}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{ '[/INST]' }}{% else %}"
    "{{ (message['content'] if message['content'] is string else message['content'][0]['text']) + '</s>' }}"
    "{% endif %}{% endfor %}"
)
FIRST = "what how describe a empty red green blue yellow purple"
LATER = (
    "is the at row column many plus scene red green blue yellow purple circle square triangle cross "
    "circles squares triangles crosses left of above a what how describe"
)


def build():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    corpus = FIRST.split() + [f" {word}" for word in LATER.split()]
    trainer = trainers.BpeTrainer(
        vocab_size=1000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIAL])
    bos = ("<s>", tokenizer.token_to_id("<s>"))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[bos])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        chat_template=TEMPLATE, model_max_length=1024, clean_up_tokenization_spaces=False,
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    tokenizer = build()
    tokenizer.save_pretrained(folder)
    print(len(tokenizer), tokenizer.tokenize("what is at row 3, column 5?[/INST]red circle</s>"), tokenizer.tokenize("what is the TOTAL?48.20"))
