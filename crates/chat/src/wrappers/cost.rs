//! What each reply cost.

use crate::backends::{Backend, Failure};
use crate::control::Control;
use crate::message::{ChatReply, ChatRequest};
use crate::model::Price;

/// Fills [`ChatReply::cost`] in where the model does not say and its price is known.
pub(super) struct Priced {
    pub(super) inner: Box<dyn Backend>,
    pub(super) price: Option<Price>,
}

impl Backend for Priced {
    fn ask(&self, request: &ChatRequest, control: &Control) -> Result<ChatReply, Failure> {
        let mut reply = self.inner.ask(request, control)?;
        reply.cost = reply.cost.or(self.price.map(|price| price.of(reply.usage)));
        Ok(reply)
    }
}
