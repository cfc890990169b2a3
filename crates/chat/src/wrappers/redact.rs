//! No key in any text.

use crate::backends::{Backend, Failure};
use crate::control::Control;
use crate::message::{ChatReply, ChatRequest};
use crate::secrets::Secrets;

/// Takes keys out of requests, replies and errors.
pub(super) struct Redacted {
    pub(super) inner: Box<dyn Backend>,
    pub(super) secrets: Secrets,
}

impl Backend for Redacted {
    fn ask(&self, request: &ChatRequest, control: &Control) -> Result<ChatReply, Failure> {
        let mut request = request.clone();
        self.secrets.clean_request(&mut request);
        match self.inner.ask(&request, control) {
            Ok(mut reply) => {
                self.secrets.clean_reply(&mut reply);
                Ok(reply)
            }
            Err(Failure::Retry { why, after }) => Err(Failure::Retry {
                why: self.secrets.redact(&why),
                after,
            }),
            Err(Failure::Final(mut error)) => {
                self.secrets.clean_error(&mut error);
                Err(error.into())
            }
        }
    }
}
