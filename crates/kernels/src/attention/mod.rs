//! Attention: streaming prefill, decode over heads of different lengths, and the statistics for compression.

mod blocks;
mod decode;
mod dot;
mod prefill;
mod statistics;
mod tiles;

use crate::{Elements, Isa, KvView, arch};

pub(crate) use decode::decode_attention;
pub(crate) use prefill::prefill_attention;
pub(crate) use statistics::attention_statistics;

/// Whether scores and mixtures are computed in bf16 pairs: where the path has them and the cache is bf16 throughout.
fn paired(isa: Isa, kv: &[KvView]) -> bool {
    let mut chunks = kv.iter().flat_map(|view| &view.chunks);
    arch::has_bf16_dot(isa)
        && chunks.all(|c| matches!((c.keys, c.values), (Elements::BF16(_), Elements::BF16(_))))
}
