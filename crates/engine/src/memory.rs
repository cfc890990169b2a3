//! How much memory a request will take, and how much there is.

use std::fs;

use whittle_models::ModelDescription;

/// Rows of activations in flight: the prefill chunk of [`whittle_models::LoadOptions`].
const CHUNK: usize = 512;

/// An estimate of what the prefill of a prompt allocates at its peak, in bytes: the full cache, the activations of one
/// chunk, the attention statistics, and the logits. The weights were taken when the model was loaded, so they don't
/// count.
pub fn prefill_bytes(model: &ModelDescription, prompt_tokens: usize) -> u64 {
    let cache = &model.cache;
    let (query, kv) = (
        cache.query_heads * cache.head_dim,
        cache.kv_heads * cache.head_dim,
    );
    let rows = prompt_tokens.min(CHUNK);
    // Residual stream and its copy, normalised input; queries, keys, values and attention output; gate and up.
    let row = 3 * model.text.hidden + 2 * query + 2 * kv + 2 * model.text.intermediate;
    // Embeddings of the whole prompt; scores of every position per layer and KV head, three kinds at most.
    let position = model.text.hidden + 3 * cache.layers * cache.kv_heads;
    let floats = rows as u64 * row as u64
        + prompt_tokens as u64 * position as u64
        + model.text.vocabulary as u64;
    full_cache_bytes(model, prompt_tokens) + 4 * floats
}

/// Bytes of a full cache of so many tokens.
pub fn full_cache_bytes(model: &ModelDescription, tokens: usize) -> u64 {
    let cache = &model.cache;
    let entry = 2 * cache.head_dim * cache.dtype.size();
    (cache.layers * cache.kv_heads * entry) as u64 * tokens as u64
}

/// Memory that can be taken without swapping or hitting a limit, in bytes: what the kernel calls available,
/// or what the control group leaves if that is less. `None` where neither can be read.
pub fn available() -> Option<u64> {
    let system = fs::read_to_string("/proc/meminfo")
        .ok()
        .as_deref()
        .and_then(meminfo_available);
    let group = control_group();
    match (system, group) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// `MemAvailable` of /proc/meminfo in bytes.
fn meminfo_available(meminfo: &str) -> Option<u64> {
    field(meminfo, "MemAvailable:")
}

/// The value of a `Name:   123 kB` line in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// What the memory limit of the control group (version 2, else 1) leaves.
fn control_group() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let pairs = [
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ];
    let (limit, used) = pairs
        .iter()
        .find_map(|(limit, used)| Some((read(limit)?, read(used)?)))?;
    // Clean pages of files count as used but go when they are needed.
    let files = fs::read_to_string("/sys/fs/cgroup/memory.stat")
        .or_else(|_| fs::read_to_string("/sys/fs/cgroup/memory/memory.stat"))
        .ok()
        .and_then(|stat| {
            stat.lines()
                .find_map(|line| line.strip_prefix("inactive_file ")?.trim().parse().ok())
        })
        .unwrap_or(0_u64);
    Some(limit.saturating_sub(used.saturating_sub(files)))
}

/// The memory of this process as the kernel counts it, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessMemory {
    /// Resident now (`VmRSS`).
    pub resident: u64,
    /// The most that was ever resident (`VmHWM`).
    pub peak: u64,
}

impl ProcessMemory {
    /// Reads /proc/self/status; `None` where there is none.
    pub fn read() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        Some(Self {
            resident: field(&status, "VmRSS:")?,
            peak: field(&status, "VmHWM:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_numbers() {
        let text = "MemTotal:       24689764 kB\nMemFree:  1 kB\nMemAvailable:   24012345 kB\n";
        assert_eq!(meminfo_available(text), Some(24_012_345 * 1024));
        assert_eq!(meminfo_available("MemTotal: 5 kB\n"), None);
        assert_eq!(meminfo_available("MemAvailable: many kB\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_resident() {
        let memory = ProcessMemory::read().unwrap();
        assert!(memory.resident > 0 && memory.peak >= memory.resident);
        assert!(available().unwrap() > 0);
    }
}
