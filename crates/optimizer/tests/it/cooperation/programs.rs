//! Three programs, each with what a level agent has to find.
//!
//! The replies were written by hand, of the kind that a strong model gives.

use serde_json::{Value, json};

/// A program with inputs, and the replies that make it faster.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) source: &'static str,
    /// Standard inputs by name: small ones to check, larger ones to time.
    pub(crate) inputs: &'static [(&'static str, &'static str)],
    pub(crate) decisions: fn() -> Vec<(&'static str, Value)>,
    /// The reply of the level agent, by its label.
    pub(crate) reply: (&'static str, &'static str),
    /// The level whose node is to win.
    pub(crate) agent: &'static str,
}

pub(crate) const SAMPLES: [Sample; 3] = [POPCOUNT, ROWS, BELOW];

/// A loop over bits, which no pass takes for a population count.
const POPCOUNT: Sample = Sample {
    name: "popcount",
    source: "\
#include <stdio.h>
static unsigned values[4096];
static unsigned count(unsigned bits) {
    unsigned found = 0;
    for (; bits; bits >>= 1)
        found += bits & 1;
    return found;
}
int main(void) {
    int rounds, n;
    if (scanf(\"%d %d\", &rounds, &n) != 2 || rounds < 0 || n < 0 || n > 4096) {
        puts(\"bad input\");
        return 1;
    }
    for (int i = 0; i < n; i++)
        values[i] = (unsigned)i * 2654435761u;
    unsigned sum = 0;
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < n; i++)
            sum += count(values[i] + (unsigned)r);
    printf(\"%u\\n\", sum);
    return 0;
}
",
    inputs: &[
        ("a", "1 5\n"),
        ("b", "0 0\n"),
        ("c", "3 100\n"),
        ("d", "9 9\n"),
        ("e", "700 1000\n"),
        ("f", "400 1700\n"),
    ],
    decisions: || {
        vec![
            ("front_end", json!({"node": 0})),
            (
                "optimize",
                json!({"node": 1, "agent": "ir", "focus": "count", "instructions": "Use llvm.ctpop."}),
            ),
            ("middle_end", json!({"node": 2})),
        ]
    },
    reply: (
        "turn 2/ir/sample 1/round 1",
        "CHANGE: counts bits with llvm.ctpop\nThe loop adds the bits of its argument: that is a population count, which the \
         vectoriser knows.\n```llvm\ndeclare i32 @llvm.ctpop.i32(i32)\ndefine internal i32 @count(i32 noundef %0) #0 {\n  \
         %2 = call i32 @llvm.ctpop.i32(i32 %0)\n  ret i32 %2\n}\n```\n",
    ),
    agent: "ir",
};

/// Memory that is allocated for every row.
const ROWS: Sample = Sample {
    name: "rows",
    source: "\
#include <stdio.h>
#include <stdlib.h>
static unsigned mix(unsigned x) { return x * 2654435761u ^ x >> 7; }
__attribute__((noinline)) static unsigned largest(const unsigned *row, int n) {
    unsigned most = 0;
    for (int i = 0; i < n; i++)
        if (row[i] > most)
            most = row[i];
    return most;
}
int main(void) {
    int rows, n;
    if (scanf(\"%d %d\", &rows, &n) != 2 || rows < 0 || n < 1 || n > 64) {
        puts(\"bad input\");
        return 1;
    }
    unsigned sum = 0;
    for (int r = 0; r < rows; r++) {
        unsigned *row = malloc(n * sizeof *row);
        if (!row)
            return 2;
        for (int i = 0; i < n; i++)
            row[i] = mix((unsigned)(r * n + i));
        sum += largest(row, n);
        free(row);
    }
    printf(\"%u\\n\", sum);
    return 0;
}
",
    inputs: &[
        ("a", "3 4\n"),
        ("b", "0 1\n"),
        ("c", "100 7\n"),
        ("d", "5 64\n"),
        ("e", "4000000 3\n"),
        ("f", "3500000 4\n"),
    ],
    decisions: || {
        vec![(
            "optimize",
            json!({"node": 0, "agent": "source", "rounds": 2, "instructions": "Look at the allocations."}),
        )]
    },
    reply: (
        "turn 1/source/sample 1/round 1",
        "CHANGE: allocates one row for all\nEvery row has the same size, so one buffer serves all of them.\n<<<<<<< SEARCH\n    \
         unsigned sum = 0;\n    for (int r = 0; r < rows; r++) {\n        unsigned *row = malloc(n * sizeof *row);\n        if \
         (!row)\n            return 2;\n=======\n    unsigned sum = 0;\n    unsigned row[64];\n    for (int r = 0; r < rows; r++) \
         {\n>>>>>>> REPLACE\n<<<<<<< SEARCH\n        free(row);\n=======\n>>>>>>> REPLACE\n",
    ),
    agent: "source",
};

/// A branch that nobody can predict, before a store that the compiler may not make unconditional.
const BELOW: Sample = Sample {
    name: "below",
    source: "\
#include <stdio.h>
static int values[1048576], kept[1048576 + 1];
__attribute__((noinline)) int below(const int *v, int count, int pivot, int *out) {
    int n = 0;
    for (int i = 0; i < count; i++)
        if (v[i] < pivot)
            out[n++] = v[i];
    return n;
}
int main(void) {
    int rounds, count;
    if (scanf(\"%d %d\", &rounds, &count) != 2 || rounds < 0 || count < 0 || count > 1048576) {
        puts(\"bad input\");
        return 1;
    }
    unsigned x = 12345;
    for (int i = 0; i < count; i++) {
        x = x * 1664525u + 1013904223u;
        values[i] = (int)(x >> 8);
    }
    unsigned sum = 0;
    for (int r = 0; r < rounds; r++) {
        int n = below(values, count, (1 << 23) + r, kept);
        sum = sum * 31 + (unsigned)n + (unsigned)(n ? kept[n / 2] : 0);
    }
    printf(\"%u\\n\", sum);
    return 0;
}
",
    inputs: &[
        ("a", "1 5\n"),
        ("b", "0 0\n"),
        ("c", "3 1000\n"),
        ("d", "9 9\n"),
        ("e", "12 1000000\n"),
        ("f", "13 900000\n"),
    ],
    decisions: || {
        vec![
            ("back_end", json!({"node": 0})),
            (
                "optimize",
                json!({"node": 1, "agent": "assembly", "focus": "below"}),
            ),
        ]
    },
    reply: (
        "turn 2/assembly/sample 1/round 1",
        "CHANGE: stores always, counts without a branch\nThe branch depends on random values. There is room for one value more, \
         so the store may always be made.\n```asm\nbelow:\n\t.cfi_startproc\n\txorl\t%eax, %eax\n\ttestl\t%esi, %esi\n\tjle\t\
         .Lbelow_done\n\tmovl\t%esi, %esi\n\txorl\t%r8d, %r8d\n.Lbelow_next:\n\tmovl\t(%rdi,%r8,4), %r9d\n\tmovl\t%r9d, \
         (%rcx,%rax,4)\n\txorl\t%r10d, %r10d\n\tcmpl\t%edx, %r9d\n\tsetl\t%r10b\n\taddl\t%r10d, %eax\n\tincq\t%r8\n\tcmpq\t\
         %rsi, %r8\n\tjne\t.Lbelow_next\n.Lbelow_done:\n\tretq\n.Lbelow_end:\n\t.size\tbelow, .Lbelow_end-below\n\t.cfi_endproc\n\
         ```\n",
    ),
    agent: "assembly",
};
