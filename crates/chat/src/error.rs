//! What can go wrong between a request and its reply.

use std::time::Duration;

/// A model gave no reply.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// What stands after `--model` is no model.
    #[error("{spec:?} is no model: {why}")]
    Spec {
        /// What was given.
        spec: String,
        /// What is wrong with it.
        why: String,
    },
    /// The environment has no key for it.
    #[error("{model} needs a key in the environment variable {variable}")]
    NoKey {
        /// The model.
        model: String,
        /// The variable.
        variable: &'static str,
    },
    /// The call was ended from outside.
    #[error("the call was stopped")]
    Cancelled,
    /// It took too long.
    #[error("{model} gave no reply within {} s", .after.as_secs())]
    TimedOut {
        /// The model.
        model: String,
        /// The limit.
        after: Duration,
    },
    /// The network or the model's server failed, also after several tries.
    #[error("{model} cannot be reached ({tries} tries): {why}")]
    Unreachable {
        /// The model.
        model: String,
        /// How often it was tried.
        tries: u32,
        /// The last failure, in words.
        why: String,
    },
    /// The server or command refused the request; trying again will not help.
    #[error("{model} refused the request: {why}")]
    Rejected {
        /// The model.
        model: String,
        /// What it said, cut to a bound, keys taken out.
        why: String,
    },
    /// What came back is no reply.
    #[error("the reply of {model} cannot be read: {why}")]
    Malformed {
        /// The model.
        model: String,
        /// What is wrong with it.
        why: String,
    },
    /// A recording has no (further) reply to this request.
    #[error("{file} has no reply to call {label:?}")]
    NotRecorded {
        /// The recording.
        file: String,
        /// The call's label, or a digest of the request.
        label: String,
    },
    /// A file of the model cannot be read or written.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
}

impl ChatError {
    /// Whether no later call can go better: the run's models should not be asked any more.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Spec { .. } | Self::NoKey { .. } | Self::Cancelled | Self::NotRecorded { .. }
        )
    }
}
