"""The reader: a CLIP tower, a projector and a Mistral decoder, written so that many questions about one page
share its visual tokens in one pass. Parameter names follow transformers' LlavaNextForConditionalGeneration."""

import math

import torch
import torch.nn.functional as F
from torch import nn

TILE, PATCH = 80, 8
GRID = TILE // PATCH  # patches along a tile
PAGE = 2 * GRID  # patches along a page of two by two tiles
BASE = GRID * GRID  # tokens of the page shrunk to one tile
ROW = PAGE + 1  # a row of patches and its newline
VISUAL = BASE + PAGE * ROW
PREFIX = 2  # <s> [INST]

VISION = dict(hidden=96, layers=3, heads=4, mlp=384)
TEXT = dict(hidden=128, layers=6, heads=4, kv_heads=2, head_dim=32, mlp=352, theta=10000.0, eps=1e-5)
CONTENTS, FIELDS, OFFSETS, PLACES = 160, 64, 9, 7
EVIDENCE_LAYER = 3  # whose first KV head learns to look at the evidence
FEATURE_LAYER = 3  # after so many layers a glyph knows its key, a shape its row and column


def position_of_cells():
    """Index of every cell among the visual tokens."""
    rows, columns = torch.meshgrid(torch.arange(PAGE), torch.arange(PAGE), indexing="ij")
    return (BASE + rows * ROW + columns).flatten()


class VisionBlock(nn.Module):
    def __init__(self, hidden, heads, mlp):
        super().__init__()
        self.heads = heads
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.qkv, self.out_proj = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.fc1, self.fc2 = nn.Linear(hidden, mlp), nn.Linear(mlp, hidden)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.layer_norm1(x)).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        x = x + self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, d))
        return x + self.fc2(F.gelu(self.fc1(self.layer_norm2(x))))


class Tower(nn.Module):
    """CLIP's vision model up to the last block, without the class token in the result."""

    def __init__(self, hidden, layers, heads, mlp):
        super().__init__()
        self.class_embedding = nn.Parameter(torch.randn(hidden) * 0.02)
        self.patch_embedding = nn.Linear(3 * PATCH * PATCH, hidden, bias=False)
        self.position_embedding = nn.Parameter(torch.randn(BASE + 1, hidden) * 0.02)
        self.pre_layrnorm = nn.LayerNorm(hidden)
        self.layers = nn.ModuleList(VisionBlock(hidden, heads, mlp) for _ in range(layers))

    def forward(self, tiles):
        """[n, 3, TILE, TILE] → [n, BASE, hidden]"""
        n = tiles.shape[0]
        patches = tiles.view(n, 3, GRID, PATCH, GRID, PATCH).permute(0, 2, 4, 1, 3, 5).reshape(n, BASE, -1)
        x = torch.cat([self.class_embedding.expand(n, 1, -1), self.patch_embedding(patches)], 1) + self.position_embedding
        x = self.pre_layrnorm(x)
        for layer in self.layers:
            x = layer(x)
        return x[:, 1:]


class Projector(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(VISION["hidden"], TEXT["hidden"]), nn.Linear(TEXT["hidden"], TEXT["hidden"])

    def forward(self, x):
        return self.linear_2(F.gelu(self.linear_1(x)))


class RMSNorm(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, TEXT["eps"])


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


class DecoderBlock(nn.Module):
    def __init__(self, hidden, heads, kv_heads, head_dim, mlp, **_):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(hidden), RMSNorm(hidden)
        self.qkv = nn.Linear(hidden, (heads + 2 * kv_heads) * head_dim, bias=False)
        self.o_proj = nn.Linear(heads * head_dim, hidden, bias=False)
        self.gate_up = nn.Linear(hidden, 2 * mlp, bias=False)
        self.down_proj = nn.Linear(mlp, hidden, bias=False)

    def forward(self, x, page, cos, sin, question_mask, want_scores):
        """`x` [b, page + questions, hidden]; the page attends causally to itself, a question to the page and itself.
        Returns also, where wanted, the attention logits of the query heads of KV head 0 for the question rows."""
        b, t, _ = x.shape
        qkv = self.qkv(self.input_layernorm(x)).view(b, t, -1, self.head_dim).transpose(1, 2)
        q, k, v = qkv.split([self.heads, self.kv_heads, self.kv_heads], 1)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        share = self.heads // self.kv_heads
        kr, vr = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
        # Padding stands at the end of a page, where causal rows do not see it.
        first = F.scaled_dot_product_attention(q[:, :, :page], kr[:, :, :page], vr[:, :, :page], is_causal=True)
        second = F.scaled_dot_product_attention(q[:, :, page:], kr, vr, attn_mask=question_mask)
        scores = None
        if want_scores:
            scores = q[:, :share, page:] @ k[:, :1].transpose(-1, -2) / math.sqrt(self.head_dim)
            scores = scores.masked_fill(~question_mask, -1e9)
        y = torch.cat([first, second], 2).transpose(1, 2).reshape(b, t, -1)
        x = x + self.o_proj(y)
        gate, up = self.gate_up(self.post_attention_layernorm(x)).chunk(2, -1)
        return x + self.down_proj(F.silu(gate) * up), scores


class Reader(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        hidden = TEXT["hidden"]
        self.tower, self.projector = Tower(**VISION), Projector()
        self.image_newline = nn.Parameter(torch.randn(hidden) * 0.3)
        self.embed_tokens = nn.Embedding(vocabulary, hidden)
        self.layers = nn.ModuleList(DecoderBlock(**TEXT) for _ in range(TEXT["layers"]))
        self.norm = RMSNorm(hidden)
        self.lm_head = nn.Linear(hidden, vocabulary, bias=False)
        # Supervision for training only; not exported.
        self.features = nn.Linear(hidden, FIELDS + OFFSETS + 2 * PLACES)
        for name, p in self.named_parameters():
            if p.dim() == 2 and not name.startswith("tower"):
                nn.init.normal_(p, std=0.3 if "embed" in name else 0.7 / math.sqrt(p.shape[1]))
        for layer in self.layers:
            for p in (layer.o_proj, layer.down_proj):
                p.weight.data *= 1 / math.sqrt(2 * len(self.layers))
        half = TEXT["head_dim"] // 2
        self.register_buffer("frequencies", TEXT["theta"] ** (-torch.arange(half).float() / half), persistent=False)

    def angles(self, positions):
        angle = positions[..., None].float() * self.frequencies
        angle = torch.cat([angle, angle], -1)[:, None]
        return angle.cos(), angle.sin()

    def visual(self, tiles, pages):
        """Tiles [pages * 5, 3, TILE, TILE], the shrunk page first → visual tokens [pages, VISUAL, hidden]"""
        x = self.projector(self.tower(tiles)).view(pages, 5, BASE, -1)
        grid = x[:, 1:].reshape(pages, 2, 2, GRID, GRID, -1).permute(0, 1, 3, 2, 4, 5).reshape(pages, PAGE, PAGE, -1)
        newline = self.image_newline.expand(pages, PAGE, 1, -1)
        return torch.cat([x[:, 0], torch.cat([grid, newline], 2).flatten(1, 2)], 1)

    def decode(self, page, page_positions, page_keep, ids, segment, offset):
        """`page` [b, n, hidden] with the prefix in front, `page_positions` [b, n], `page_keep` [b, n] or None, then
        packed questions. Returns logits, evidence scores and features of the page."""
        b, n, _ = page.shape
        x = torch.cat([page, self.embed_tokens(ids)], 1)
        cos, sin = self.angles(torch.cat([page_positions, PREFIX + VISUAL + offset], 1))
        r = ids.shape[1]
        own = (segment[:, :, None] == segment[:, None, :]) & torch.ones(r, r, dtype=torch.bool).tril()
        keep = torch.ones(b, n, dtype=torch.bool) if page_keep is None else page_keep
        question_mask = torch.cat([keep[:, None].expand(-1, r, -1), own], 2)[:, None]
        scores, features = None, None
        for i, layer in enumerate(self.layers):
            if i == FEATURE_LAYER:
                features = self.features(x[:, :n])
            x, s = layer(x, n, cos, sin, question_mask, i == EVIDENCE_LAYER)
            scores = s if s is not None else scores
        return self.lm_head(self.norm(x[:, n:])), scores, features
