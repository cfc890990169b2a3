//! What a server's refusal means.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::endpoint::Fault;

/// A status other than 2xx, with what the body says.
pub(super) fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Fault {
    let said = serde_json::from_slice(body)
        .ok()
        .and_then(|value: Value| message(&value));
    let said = said.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let why = if status.is_redirection() {
        format!("{status}: redirects are not followed, as keys must not go elsewhere")
    } else {
        format!("{status}: {said}")
    };
    let passing = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
    if passing || matches!(status.as_u16(), 408 | 425 | 429) {
        Fault::Again(why, retry_after(headers))
    } else {
        Fault::Refused(why)
    }
}

/// An error that stands where a reply should be, in a body or in a stream.
pub(super) fn error_in_body(value: &Value) -> Result<(), Fault> {
    let Some(error) = value.get("error").filter(|error| !error.is_null()) else {
        return Ok(());
    };
    let why = message(value).unwrap_or_else(|| error.to_string());
    let kind = error
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    // Some servers give the number as text.
    let number = |code: &Value| code.as_u64().or_else(|| code.as_str()?.parse().ok());
    let code = error.get("code").and_then(number).unwrap_or_default();
    let lasting = [
        "invalid_request",
        "authentication",
        "permission",
        "not_found",
        "request_too_large",
    ];
    let refused = matches!(code, 400..=407 | 409..=424 | 426..=428 | 430..=499)
        || lasting.iter().any(|word| kind.starts_with(word));
    Err(if refused {
        Fault::Refused(why)
    } else {
        Fault::Again(why, None)
    })
}

/// The words of an error, where the usual interfaces put them.
fn message(value: &Value) -> Option<String> {
    let places = ["/error/message", "/message", "/error", "/detail"];
    let mut found = places
        .iter()
        .filter_map(|place| value.pointer(place)?.as_str());
    found.next().map(str::to_owned)
}

/// How long the server asks to wait: milliseconds, seconds or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |text: &str, unit: f64| {
        let seconds: f64 = text.parse::<f64>().ok()? * unit;
        Duration::try_from_secs_f64(seconds).ok()
    };
    if let Some(wait) = text("retry-after-ms").and_then(|text| number(text, 1e-3)) {
        return Some(wait);
    }
    let given = text("retry-after")?;
    number(given, 1.0).or_else(|| {
        let date = jiff::fmt::rfc2822::parse(given).ok()?.timestamp();
        Duration::try_from(date.duration_since(Timestamp::now())).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(name: &'static str, value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        retry_after(&headers)
    }

    #[test]
    fn waits_are_read_in_all_their_forms() {
        assert_eq!(wait("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(
            wait("retry-after-ms", "250"),
            Some(Duration::from_millis(250))
        );
        let date = wait("retry-after", "Tue, 31 Dec 2999 23:59:59 GMT").unwrap();
        assert!(date > Duration::from_secs(1_000_000));
        assert_eq!(wait("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"), None);
        assert_eq!(wait("retry-after", "-1"), None);
        assert_eq!(wait("retry-after", "soon"), None);
    }
}
