//! Shapes of the usual inputs, and what is made of them.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::*;

fn shape(input: &str) -> Shape {
    Shape::infer(&[], input.as_bytes())
}

fn generate(input: &str, sizes: &[i64], change: f64) -> String {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let (_, output) = shape(input).generate(sizes, change, &mut random).unwrap();
    String::from_utf8(output).unwrap()
}

/// Numbers of a line of the output.
fn numbers(output: &str, line: usize) -> Vec<i64> {
    let line = output.lines().nth(line).unwrap();
    line.split(' ')
        .map(|token| token.parse().unwrap())
        .collect()
}

#[test]
fn unchanged_sizes_give_the_input_back() {
    for input in [
        "5\n3 1 4 1 5\n",
        "4 2\n1 2\n3 4\n5 6\n7 8\n",
        "2 3 1\n..#\n.#.\n0 0 1 2\n",
        "7\n",
        "400 1 2024\n",
        "3\nalpha\nbeta\ngamma\n",
        "2\n0.5 1.25\n-1e3 2\n5 5 5 5 5 5 5 5 5\n",
        "10\n+ 1 2\n? 1\n- 1\n* 3 4 5\n",
        "a line of words\n\nanother one\n",
    ] {
        let sizes = shape(input).sizes().to_vec();
        assert_eq!(generate(input, &sizes, 0.0), input);
    }
}

#[test]
fn an_array_is_as_long_as_its_size() {
    let output = generate("5\n3 1 4 1 59\n", &[1000], 0.0);
    assert!(output.starts_with("1000\n3 1 4 1 59 "));
    let values = numbers(&output, 1);
    assert_eq!(values.len(), 1000);
    assert!(values.iter().all(|value| (1..=59).contains(value)));
    assert_eq!(generate("5\n3 1 4 1 5\n", &[0], 0.0), "0\n\n");
    assert_eq!(generate("5 3 1 4 1 7\n", &[2], 0.0), "2\n3 1\n");
}

#[test]
fn a_grid_grows_in_both_directions_and_its_queries_with_it() {
    let input = "3 9 2\n..#...##.\n.#..#....\n.........\n0 8 2 6\n1 7 0 5\n";
    let output = generate(input, &[30, 40, 20], 0.0);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 51);
    assert!(lines[1..31].iter().all(|row| row.len() == 40));
    assert!(output.contains('#'));
    let far = (31..51).map(|line| numbers(&output, line));
    assert!(
        far.clone()
            .all(|q| q[0] < 30 && q[1] < 40 && q[2] < 30 && q[3] < 40)
    );
    assert!(far.map(|query| query[2]).max() > Some(3), "{output}");
    let small = generate(input, &[1, 1, 2], 0.0);
    assert_eq!(small, "1 1 2\n.\n0 0 0 0\n0 0 0 0\n");
}

#[test]
fn edges_stay_within_the_number_of_nodes() {
    let input = "4 5\n1 2\n2 3\n3 4\n4 1\n1 3\n";
    let output = generate(input, &[100, 200], 0.5);
    assert_eq!(output.lines().count(), 201);
    let ends: Vec<i64> = (1..201).flat_map(|line| numbers(&output, line)).collect();
    assert!(ends.iter().all(|end| (1..=100).contains(end)));
    assert!(ends.iter().any(|&end| end > 50));
}

#[test]
fn an_array_may_be_followed_by_queries_with_a_size_of_their_own() {
    let input = "5\n9 8 7 6 5\n3\n1 5\n2 2\n4 5\n";
    let inferred = shape(input);
    assert_eq!(inferred.sizes(), [5, 3]);
    let output = generate(input, &[2, 1], 0.0);
    assert_eq!(output.lines().count(), 4);
    assert_eq!(numbers(&output, 1), [9, 8]);
}

#[test]
fn commands_keep_their_form_and_the_rest_of_the_lines_has_a_size() {
    let input = "10\n+ 1 2\n? 1\n+ 900 -7\n? 900\n- 1\n";
    let inferred = shape(input);
    assert_eq!(inferred.sizes(), [10, 5]);
    assert!(inferred.is_linked(1) && !inferred.is_linked(0));
    let output = generate(input, &[10, 500], 0.0);
    assert_eq!(output.lines().count(), 501);
    for line in output.lines().skip(1) {
        let tokens: Vec<_> = line.split(' ').collect();
        assert_eq!(tokens.len(), if tokens[0] == "+" { 3 } else { 2 }, "{line}");
    }
}

#[test]
fn arguments_are_sizes_too() {
    let arguments = ["--n".to_owned(), "3".to_owned()];
    let inferred = Shape::infer(&arguments, b"1 2\n3 4\n5 6\n");
    assert_eq!(inferred.sizes(), [3]);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let (arguments, output) = inferred.generate(&[6], 0.0, &mut random).unwrap();
    assert_eq!(arguments, ["--n", "6"]);
    assert_eq!(output.split_inclusive(|&byte| byte == b'\n').count(), 6);
}

#[test]
fn text_and_lists_grow_to_the_end_of_the_file() {
    assert_eq!(
        generate("to be or not\n", &[9], 0.0)
            .split_whitespace()
            .count(),
        9
    );
    assert_eq!(generate("abcab\n", &[90], 0.0).trim_end().len(), 90);
    assert_eq!(
        generate("one\ntwo\nthree\n", &[12], 0.0).lines().count(),
        12
    );
    assert!(shape("").sizes().is_empty());
    assert_eq!(generate("", &[], 1.0), "");
}

#[test]
fn lines_can_be_repeated_in_their_order() {
    let shape = Shape::repeating(&["5".to_owned()], b"push 1\nadd\n");
    assert_eq!(shape.sizes(), [5, 2]);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let (arguments, output) = shape.generate(&[6, 5], 0.0, &mut random).unwrap();
    assert_eq!(arguments, ["6"]);
    assert_eq!(output, b"push 1\nadd\npush 1\nadd\npush 1\n");
    assert!(Shape::repeating(&[], b"").sizes().is_empty());
}

#[test]
fn what_would_be_too_large_is_not_made() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let shape = shape("5\n3 1 4 1 5\n");
    assert!(shape.generate(&[i64::MAX], 0.0, &mut random).is_none());
    assert!(shape.generate(&[100_000_000], 0.0, &mut random).is_none());
    assert!(shape.generate(&[-5], 0.0, &mut random).is_some());
}

proptest::proptest! {
    #[test]
    fn any_bytes_have_a_shape(input: Vec<u8>, sizes in proptest::collection::vec(-3i64..50, 40), change in 0.0..=1.0) {
        let shape = Shape::infer(&[], &input);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let count = shape.sizes().len();
        proptest::prop_assert!(count <= sizes.len());
        shape.generate(&sizes[..count], change, &mut random);
    }

    #[test]
    fn any_numbers_have_a_shape(input in "([0-5 \n#-]|[0-9]{19}){0,60}", sizes in proptest::collection::vec(-3i64..50, 40), change in 0.0..=1.0) {
        let shape = Shape::infer(&[], input.as_bytes());
        let mut random = ChaCha8Rng::seed_from_u64(1);
        shape.generate(&sizes[..shape.sizes().len()], change, &mut random);
    }
}
