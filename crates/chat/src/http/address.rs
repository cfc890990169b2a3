//! `MODEL[@URL]`, and which key goes there.

use reqwest::Url;

use crate::backends::Opening;
use crate::error::ChatError;
use crate::secrets::{ENDPOINT_KEY, variable};

/// A model and where it is.
#[derive(Debug)]
pub(crate) struct Address {
    /// The model's name there.
    pub(crate) model: String,
    /// The URL of its interface; `None` is the provider's own.
    pub(crate) url: Option<Url>,
}

impl Address {
    /// Reads `MODEL[@URL]`. The model's name may have slashes, colons and, before a URL, at signs.
    pub(crate) fn parse(opening: &Opening<'_>) -> Result<Self, ChatError> {
        let rest = opening.rest;
        let at = ["@http://", "@https://"]
            .iter()
            .filter_map(|mark| rest.rfind(mark))
            .max();
        let Some(at) = at else {
            if rest.contains('@') {
                return Err(opening.wrong("a URL after @ begins with http:// or https://"));
            }
            return Ok(Self {
                model: rest.to_owned(),
                url: None,
            });
        };
        let (model, url) = (&rest[..at], &rest[at + 1..]);
        if model.is_empty() {
            return Err(opening.wrong("the model's name before @ is missing"));
        }
        let url = Url::parse(url).map_err(|error| opening.wrong(error.to_string()))?;
        // Reports show the SPEC, so it must not carry secrets.
        let secretive = !url.username().is_empty() || url.password().is_some();
        if secretive || url.query().is_some() || url.fragment().is_some() {
            return Err(ChatError::Spec {
                spec: opening.spec.replace(&rest[at + 1..], "..."),
                why: "a URL has no user name, password, query or fragment here; a key belongs into WHITTLE_ENDPOINT_KEY"
                    .to_owned(),
            });
        }
        Ok(Self {
            model: model.to_owned(),
            url: Some(url),
        })
    }

    /// The URL to post to: that of the interface, or the provider's, with `path` unless it has it already.
    pub(crate) fn target(&self, provider: &str, path: &str) -> Result<Url, ChatError> {
        let base = self
            .url
            .as_ref()
            .map_or(provider, Url::as_str)
            .trim_end_matches('/');
        let version = if base.matches('/').count() < 3 {
            "/v1"
        } else {
            ""
        };
        let whole = if base.ends_with(path) {
            base.to_owned()
        } else {
            format!("{base}{version}{path}")
        };
        Url::parse(&whole).map_err(|error| ChatError::Spec {
            spec: whole,
            why: error.to_string(),
        })
    }
}

/// The key for an address: the provider's only for the provider itself, whatever the URL looks like.
pub(crate) fn key(
    opening: &Opening<'_>,
    address: &Address,
    provider: &'static str,
) -> Result<Option<String>, ChatError> {
    let environment = &opening.options.environment;
    if address.url.is_some() {
        return Ok(variable(environment, ENDPOINT_KEY));
    }
    match variable(environment, provider) {
        Some(key) => Ok(Some(key)),
        None => Err(ChatError::NoKey {
            model: opening.spec.to_owned(),
            variable: provider,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::options::OpenOptions;
    use crate::secrets::{OPENAI_KEY, Secrets};

    fn with<T>(rest: &str, look: impl FnOnce(&Opening<'_>) -> T) -> T {
        let options = OpenOptions {
            environment: Arc::new(|name| Some(format!("value of {name}"))),
            ..OpenOptions::default()
        };
        let spec = format!("openai:{rest}");
        look(&Opening {
            spec: &spec,
            rest,
            options: &options,
            secrets: &Secrets::default(),
        })
    }

    fn target(rest: &str) -> (String, String, String) {
        with(rest, |opening| {
            let address = Address::parse(opening).unwrap();
            let url = address
                .target("https://api.openai.com/v1", "/chat/completions")
                .unwrap();
            let key = key(opening, &address, OPENAI_KEY).unwrap().unwrap();
            (address.model, url.to_string(), key)
        })
    }

    #[test]
    fn each_key_goes_to_its_own_place() {
        let own = "value of OPENAI_API_KEY".to_owned();
        let other = "value of WHITTLE_ENDPOINT_KEY".to_owned();
        let cases = [
            (
                "org/m:1",
                "org/m:1",
                "https://api.openai.com/v1/chat/completions",
                &own,
            ),
            (
                "m@http://h:8000/v1",
                "m",
                "http://h:8000/v1/chat/completions",
                &other,
            ),
            (
                "m@http://h:8000",
                "m",
                "http://h:8000/v1/chat/completions",
                &other,
            ),
            (
                "a@1@https://h/x/",
                "a@1",
                "https://h/x/chat/completions",
                &other,
            ),
            (
                "m@https://h/chat/completions",
                "m",
                "https://h/chat/completions",
                &other,
            ),
            (
                "m@https://api.openai.com/v1",
                "m",
                "https://api.openai.com/v1/chat/completions",
                &other,
            ),
        ];
        for (rest, model, url, key) in cases {
            assert_eq!(
                target(rest),
                (model.to_owned(), url.to_owned(), key.clone())
            );
        }
    }

    #[test]
    fn urls_with_secrets_are_refused_and_not_shown() {
        for url in [
            "http://me:hunter2@h/v1",
            "https://h/v1?key=hunter2",
            "https://h/#hunter2",
        ] {
            let error = with(&format!("m@{url}"), |opening| {
                Address::parse(opening).unwrap_err()
            });
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        with("m@localhost:8000", |opening| {
            assert!(Address::parse(opening).is_err());
        });
    }
}
