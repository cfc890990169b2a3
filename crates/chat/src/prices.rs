//! What models cost, from tables.

use std::path::Path;

use serde::Deserialize;

use crate::error::ChatError;
use crate::model::Price;

/// A table of prices. A row's model is a name, which also stands for its dated snapshots (`gpt-4o` for
/// `gpt-4o-2024-08-06`), or with a star at its end everything that begins so.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prices {
    /// Where the numbers are from, for readers of the file.
    #[serde(default, rename = "source")]
    _source: String,
    prices: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    model: String,
    input: f64,
    output: f64,
}

impl Prices {
    /// What the providers publish for their own endpoints.
    pub(crate) fn built_in() -> Option<Self> {
        serde_json::from_str(include_str!("../assets/prices.json")).ok()
    }

    /// A user's table.
    pub(crate) fn read(file: &Path) -> Result<Self, ChatError> {
        let wrong = |why: String| ChatError::File {
            path: file.display().to_string(),
            why,
        };
        let text = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
        let prices: Self =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        let bad = |price: f64| !price.is_finite() || price < 0.0;
        match prices
            .prices
            .iter()
            .find(|row| bad(row.input) || bad(row.output))
        {
            Some(row) => Err(wrong(format!("{:?} has a negative price", row.model))),
            None => Ok(prices),
        }
    }

    /// The price of what is called one of `names`: that of the longest matching row.
    pub(crate) fn of(&self, names: &[&str]) -> Option<Price> {
        let matching = self
            .prices
            .iter()
            .filter(|row| names.iter().any(|name| row.matches(name)));
        let row = matching.max_by_key(|row| row.model.len())?;
        Some(Price {
            input: row.input,
            output: row.output,
        })
    }
}

impl Row {
    fn matches(&self, name: &str) -> bool {
        if let Some(begin) = self.model.strip_suffix('*') {
            return name.starts_with(begin);
        }
        name.strip_prefix(&self.model)
            .is_some_and(|rest| rest.is_empty() || is_snapshot(rest))
    }
}

/// Whether a name's end says no more than when the model was made. Other endings are other models, at other prices.
fn is_snapshot(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix('-') else {
        return false;
    };
    let digits = rest.chars().filter(char::is_ascii_digit).count();
    rest == "latest" || (digits == 8 && rest.chars().all(|c| c.is_ascii_digit() || c == '-'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_stand_for_their_snapshots_and_nothing_else() {
        let prices = Prices::built_in().unwrap();
        let of = |name: &str| prices.of(&[name]).map(|price| (price.input, price.output));
        assert_eq!(of("gpt-4o"), Some((2.5, 10.0)));
        assert_eq!(of("gpt-4o-2024-08-06"), Some((2.5, 10.0)));
        assert_eq!(of("gpt-4o-mini"), Some((0.15, 0.6)));
        assert_eq!(of("gpt-4o-2024-05-13"), Some((5.0, 15.0)));
        assert_eq!(of("claude-sonnet-4-5-20250929"), Some((3.0, 15.0)));
        assert_eq!(of("claude-opus-5-5"), Some((4.0, 20.0)));
        assert_eq!(of("gpt-4o-audio-preview"), None);
        assert_eq!(of("gpt-4"), None);
    }

    #[test]
    fn every_model_of_the_table_is_there_once_and_costs_something() {
        let prices = Prices::built_in().unwrap();
        let names: BTreeSet<&str> = prices.prices.iter().map(|row| row.model.as_str()).collect();
        assert_eq!(names.len(), prices.prices.len());
        for row in &prices.prices {
            assert!(0.0 < row.input && row.input < row.output, "{row:?}");
        }
    }

    #[test]
    fn a_star_stands_for_any_end_and_the_longest_row_wins() {
        let text = r#"{"prices": [{"model": "q*", "input": 1, "output": 2}, {"model": "qwen*", "input": 0, "output": 0}]}"#;
        let prices: Prices = serde_json::from_str(text).unwrap();
        assert_eq!(prices.of(&["qwen3"]), Some(Price::default()));
        assert_eq!(prices.of(&["command:x", "quux"]).unwrap().output, 2.0);
        assert_eq!(prices.of(&["gemma"]), None);
    }
}
