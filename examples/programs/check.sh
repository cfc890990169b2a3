#!/usr/bin/env bash
# Builds the programs in several ways, compares their outputs on all tests and on bad input, and times the large tests.
#
#   CC=clang-19 ./check.sh [PROGRAM...]
#
# CC is a clang; without it, clang or the clang-19 to clang-16 that is there. gcc takes part where it is installed.
set -euo pipefail
cd "$(dirname "$0")"

for candidate in ${CC:-clang clang-19 clang-18 clang-17 clang-16}; do
    if command -v "$candidate" >/dev/null; then
        clang=$candidate
        break
    fi
done
if [ -z "${clang:-}" ]; then
    echo "no clang: apt-get install clang-19 libclang-rt-19-dev, or name one in CC" >&2
    exit 1
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

warnings="-std=c11 -Wall -Wextra -Wconversion -Wshadow -pedantic -Werror"
builds=(
    "$clang $warnings -O0"
    "$clang -O1"
    "$clang -O2"
    "$clang -O3"
    "$clang -O3 -march=native"
    "$clang -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
    "$clang -O1 -g -fsanitize=memory"
)
if command -v gcc >/dev/null; then
    builds+=("gcc -std=c11 -Wall -Wextra -Werror -O2")
fi

# What each program must refuse, one input a line, as printf writes it.
bad_inputs() {
    printf '%s\n' 'x' '-' '-1' '99999999999999999999 1 1' '1 99999999999999999999 1' 'nan inf 1e999' '\000\377' '* * *'
    case $1 in
    string-building) ;; # any words are good
    number-parsing) printf '%s\n' '' '1' '1 5' '0.5 1' '1001' '2 1 x' ;;
    hash-table) printf '%s\n' '' '0' '5 + 1' '5 ! 1' '5 + 1 x' '5 * 9 0 1' '5 * 4000000 9 1' '1 * 999 999 1' ;;
    grid-bfs) printf '%s\n' '' '2 2' '0 2 1' '2 2 0\n..\n.' '2 2 0\n..\n...' '2 2 0\n.x\n..' '1 2 1\n..\n0 0 0 2' '1 2 1\n..\n0 0 0' '2000 2000 1000' ;;
    sorting-structs) printf '%s\n' '' '0 0' '2 0\n1 a 1 1' '1 1\n1 a 1 1\nage 1' '1 1\n1 a 1 1\ntime 2' '1 0\n1 a 1 nan' '1 0\n1 a x 1' '100000 1000' ;;
    n-body) printf '%s\n' '' '0 1 1' '1 1 0' '1 1 1\n1 2 3 4 5 6' '1 1 1\n1 2 3 4 5 6 -7' '1 1 1\nnan 2 3 4 5 6 7' '64 5000000 0.1' ;;
    *) printf '%s\n' '' '0 1 1' '5 1' '5 1 x' '512 100 1' '5000 64 1' ;;
    esac
}

fail() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

arguments_of() {
    local file=${1%.in}.args
    arguments=()
    if [ -f "$file" ]; then
        mapfile -t arguments <"$file"
    fi
}

# The output of a good input must be the recorded one, with status 0.
check_tests() {
    local program=$1 executable=$2 build=$3
    for input in "$program"/tests/*.in; do
        arguments_of "$input"
        if ! "$executable" ${arguments[@]+"${arguments[@]}"} <"$input" >"$scratch/out" 2>"$scratch/err"; then
            fail "$build: $input: $(tail -n 3 "$scratch/err")"
        elif ! cmp -s "$scratch/out" "${input%.in}.out"; then
            fail "$build: $input: the output differs"
        fi
    done
}

# A bad input must end with status 1, one line that says why and no report of a sanitizer.
check_bad_inputs() {
    local program=$1 executable=$2 build=$3 input status
    while IFS= read -r input; do
        status=0
        # shellcheck disable=SC2059
        printf -- "$input" | "$executable" >/dev/null 2>"$scratch/err" || status=$?
        if [ "$program" = string-building ]; then
            [ "$status" = 0 ] || fail "$build: $program refuses '$input'"
        elif [ "$status" != 1 ] || [ "$(wc -l <"$scratch/err")" != 1 ] || ! grep -q "^$program: " "$scratch/err"; then
            fail "$build: $program: bad input '$input' ended with status $status: $(cat "$scratch/err")"
        fi
    done < <(bad_inputs "$program")
}

# The shortest of seven runs, in milliseconds.
time_of() {
    local executable=$1 input=$2 best=999999 before after
    arguments_of "$input"
    for _ in 1 2 3 4 5 6 7; do
        before=${EPOCHREALTIME/[.,]/}
        "$executable" ${arguments[@]+"${arguments[@]}"} <"$input" >/dev/null
        after=${EPOCHREALTIME/[.,]/}
        if [ $(((after - before) / 100)) -lt "$best" ]; then
            best=$(((after - before) / 100))
        fi
    done
    echo "$((best / 10)).$((best % 10))"
}

programs=("$@")
if [ ${#programs[@]} = 0 ]; then
    programs=(*/)
fi
for program in "${programs[@]}"; do
    program=${program%/}
    for i in "${!builds[@]}"; do
        build=${builds[i]}
        # shellcheck disable=SC2086
        if ! $build "$program"/*.c -o "$scratch/$program-$i" -lm; then
            fail "$build: $program does not compile"
            continue
        fi
        check_tests "$program" "$scratch/$program-$i" "$build"
        check_bad_inputs "$program" "$scratch/$program-$i" "$build"
    done
    echo "$program: $(ls "$program"/tests/*.in | wc -l) tests, ${#builds[@]} builds"
    for input in "$program"/tests/large-*.in; do
        printf '    %-28s -O3 %6s ms   -O3 -march=native %6s ms\n' "$(basename "$input" .in)" \
            "$(time_of "$scratch/$program-3" "$input")" "$(time_of "$scratch/$program-4" "$input")"
    done
done

if [ "$failures" != 0 ]; then
    echo "$failures failures" >&2
    exit 1
fi
echo "all outputs are equal"
