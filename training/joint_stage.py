"""Stage 3: everything is trained together on real pages, all visual tokens in place."""

import argparse
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import AutoTokenizer

from data import Encoder, pages, question_batch
from reader import PREFIX, VISUAL, Reader, position_of_cells
from text_stage import WEIGHTS, accuracy, content_embeddings, losses, report
from tiles import page_tiles


def forward(model, images, batch, prefix):
    n = len(images)
    visual = model.visual(page_tiles(images), n)
    page = torch.cat([model.embed_tokens(prefix).expand(n, -1, -1), visual], 1)
    positions = torch.arange(PREFIX + VISUAL).expand(n, -1)
    packed = (torch.from_numpy(batch[k]) for k in ("ids", "segment", "offset"))
    return visual, model.decode(page, positions, None, *packed)


def naming(seen, headers, table):
    """How badly the visual tokens of printed cells name their contents."""
    content = torch.from_numpy(np.stack([h["content"] for h in headers]))
    shown = content > 0
    return F.cross_entropy(seen[shown] @ table.T * 4 - 2 * (table**2).sum(-1), content[shown])


@torch.no_grad()
def evaluate(model, stream, encoder, prefix, first_seed, count, limit=12, batch_size=16):
    """Exact answers, teacher forced: an answer counts if every token of it is the most likely one."""
    rng, totals = np.random.default_rng(1), defaultdict(lambda: [0, 0])
    source = pages(stream, first_seed, count)
    for _ in range(count // batch_size):
        headers, images = zip(*(next(source) for _ in range(batch_size)))
        batch = question_batch(headers, encoder, limit, rng, {})
        _, (logits, _, _) = forward(model, np.stack(images), batch, prefix)
        accuracy(logits, batch, totals)
    return totals


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--stream", required=True)
    p.add_argument("--tokenizer", required=True)
    p.add_argument("--text", help="weights of stage 1")
    p.add_argument("--vision", help="weights of stage 2")
    p.add_argument("--resume")
    p.add_argument("--out", required=True)
    p.add_argument("--steps", type=int, default=4000)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--limit", type=int, default=12)
    p.add_argument("--rate", type=float, default=8e-4)
    p.add_argument("--first-seed", type=int, default=2_000_000_000)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--minutes", type=float, default=1e9, help="the learning rate falls to its end by this time")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    rng = np.random.default_rng(a.first_seed)
    tokenizer = AutoTokenizer.from_pretrained(a.tokenizer)
    encoder = Encoder(tokenizer)
    model = Reader(len(tokenizer))
    if a.resume:
        model.load_state_dict(torch.load(a.resume))
    else:
        text, vision = torch.load(a.text), torch.load(a.vision)
        seeing = ("tower", "projector")
        model.load_state_dict({k: (vision if k.startswith(seeing) else text)[k] for k in text})
    table = content_embeddings()
    cells = position_of_cells()
    column_of_cell = np.broadcast_to(PREFIX + cells.numpy(), (a.batch, len(cells)))
    prefix = torch.tensor([tokenizer.convert_tokens_to_ids(["<s>", "[INST]"])])
    optimizer = torch.optim.AdamW(model.parameters(), lr=a.rate, betas=(0.9, 0.98), weight_decay=0.01)
    source, texts = pages(a.stream, a.first_seed, 1 << 40), pages(a.stream, a.first_seed, 1 << 40, "text")
    totals, sums, started, begin = defaultdict(lambda: [0, 0]), np.zeros(4), time.time(), time.time()
    step, progress = 0, 0.0
    while progress < 1:
        step += 1
        progress = max(step / a.steps, (time.time() - begin) / 60 / a.minutes)
        headers, images = zip(*(next(source) for _ in range(a.batch)))
        batch = question_batch(headers, encoder, a.limit, rng, WEIGHTS)
        visual, output = forward(model, np.stack(images), batch, prefix)
        parts = losses(output, batch, headers, column_of_cell)
        # The tower goes on naming glyphs, also on pages full of them, which cost it little.
        name = naming(visual[:, cells], headers, table)
        dense, dense_images = zip(*(next(texts) for _ in range(a.batch // 4)))
        name = name + naming(model.visual(page_tiles(np.stack(dense_images)), len(dense))[:, cells], dense, table)
        loss = parts[0] + 0.3 * parts[1] + 0.1 * parts[2] + 0.2 * name
        for group in optimizer.param_groups:
            group["lr"] = a.rate * min(1, step / 100) * max(0.02, 1 - progress)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        sums += [x.item() for x in (*parts, name)]
        accuracy(output[0].detach(), batch, totals)
        if step % 50 == 0:
            speed = 50 * a.batch / (time.time() - started)
            print(f"step {step} loss {np.round(sums / 50, 4)} {report(totals)} | {speed:.1f} pages/s", flush=True)
            totals, sums, started = defaultdict(lambda: [0, 0]), np.zeros(4), time.time()
        if step % 250 == 0 or progress >= 1:
            torch.save(model.state_dict(), Path(a.out))
        if step % 1000 == 0 or progress >= 1:
            # Validation seeds lie apart from both the training seeds and the evaluation seeds.
            print(f"validation {report(evaluate(model, a.stream, encoder, prefix, 9_000_000_000, 320))}", flush=True)


if __name__ == "__main__":
    main()
