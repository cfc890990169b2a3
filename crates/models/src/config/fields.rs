//! Typed access to the keys of a JSON object, with errors that name file and key.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::ModelError;

/// A JSON object of a configuration file. As in transformers, a key with the value `null` counts as absent.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    path: &'a Path,
    prefix: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn root(path: &'a Path, map: &'a Map<String, Value>) -> Self {
        Self {
            path,
            prefix: String::new(),
            map,
        }
    }

    /// The file that holds the object.
    pub fn path(&self) -> &'a Path {
        self.path
    }

    /// An error about `key` of this object.
    pub fn error(&self, key: &str, problem: impl Into<String>) -> ModelError {
        ModelError::Config {
            path: self.path.to_owned(),
            key: format!("{}{key}", self.prefix),
            problem: problem.into(),
        }
    }

    fn mismatch(&self, key: &str, wanted: &str, found: &Value) -> ModelError {
        let mut found = found.to_string();
        if found.chars().count() > 60 {
            found = found.chars().take(57).collect::<String>() + "...";
        }
        self.error(key, format!("expected {wanted}, found {found}"))
    }

    /// The value of a key that is there and not `null`.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Whether the key is there, be it as `null`.
    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Whether the value of any key is an object.
    pub fn has_objects(&self) -> bool {
        self.map.values().any(Value::is_object)
    }

    fn typed<T>(
        &self,
        key: &str,
        wanted: &str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ModelError> {
        self.get(key)
            .map(|value| convert(value).ok_or_else(|| self.mismatch(key, wanted, value)))
            .transpose()
    }

    /// A nested object.
    pub fn object(&self, key: &str) -> Result<Option<Fields<'a>>, ModelError> {
        let map = self.typed(key, "an object", Value::as_object)?;
        Ok(map.map(|map| Fields {
            path: self.path,
            prefix: format!("{}{key}.", self.prefix),
            map,
        }))
    }

    /// A string.
    pub fn string(&self, key: &str) -> Result<Option<&'a str>, ModelError> {
        self.typed(key, "a string", Value::as_str)
    }

    /// A truth value, `default` if absent.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool, ModelError> {
        Ok(self
            .typed(key, "true or false", Value::as_bool)?
            .unwrap_or(default))
    }

    /// A finite number, `default` if absent.
    pub fn number(&self, key: &str, default: f64) -> Result<f64, ModelError> {
        Ok(self
            .typed(key, "a number", Value::as_f64)?
            .unwrap_or(default))
    }

    /// A finite number above zero.
    pub fn positive(&self, key: &str) -> Result<Option<f64>, ModelError> {
        self.typed(key, "a positive number", |value| {
            value.as_f64().filter(|x| *x > 0.0 && x.is_finite())
        })
    }

    /// An integer in `1..=max`.
    pub fn size(&self, key: &str, max: usize) -> Result<Option<usize>, ModelError> {
        self.typed(key, &format!("an integer from 1 to {max}"), |value| {
            size_of(value, max)
        })
    }

    /// A token id.
    pub fn token(&self, key: &str) -> Result<Option<u32>, ModelError> {
        self.typed(key, "a token id", token_of)
    }

    /// A token id or a list of them.
    pub fn tokens(&self, key: &str) -> Result<Option<Vec<u32>>, ModelError> {
        self.typed(key, "a token id or a list of them", |value| {
            match value.as_array() {
                Some(list) => list.iter().map(token_of).collect(),
                None => token_of(value).map(|id| vec![id]),
            }
        })
    }

    /// An integer or a list of at least one.
    pub fn integers(&self, key: &str) -> Result<Option<Vec<i64>>, ModelError> {
        self.typed(key, "an integer or a list of them", |value| {
            match value.as_array() {
                Some(list) if list.is_empty() => None,
                Some(list) => list.iter().map(Value::as_i64).collect(),
                None => value.as_i64().map(|x| vec![x]),
            }
        })
    }

    /// Three numbers, one for each colour channel; a single number stands for all three.
    pub fn channels(&self, key: &str) -> Result<Option<[f32; 3]>, ModelError> {
        self.typed(key, "three numbers", |value| match value.as_array() {
            Some(list) => {
                let numbers: Option<Vec<f32>> =
                    list.iter().map(|x| x.as_f64().map(|x| x as f32)).collect();
                numbers?.try_into().ok()
            }
            None => value.as_f64().map(|x| [x as f32; 3]),
        })
    }

    /// A list of pairs of integers in `1..=max`.
    pub fn pairs(&self, key: &str, max: usize) -> Result<Option<Vec<(usize, usize)>>, ModelError> {
        let wanted = format!("a list of [height, width] pairs of integers from 1 to {max}");
        self.typed(key, &wanted, |value| {
            value
                .as_array()?
                .iter()
                .map(|pair| match pair.as_array()?.as_slice() {
                    [height, width] => Some((size_of(height, max)?, size_of(width, max)?)),
                    _ => None,
                })
                .collect()
        })
    }
}

fn size_of(value: &Value, max: usize) -> Option<usize> {
    let size = usize::try_from(value.as_u64()?).ok()?;
    (1..=max).contains(&size).then_some(size)
}

fn token_of(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}
