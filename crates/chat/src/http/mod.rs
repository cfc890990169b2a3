//! Models behind HTTP: what OpenAI's and Anthropic's interfaces have in common.
//!
//! Both are spoken over `reqwest` directly. The crate `genai` 0.7.2 was read first; it has custom URLs, tool calls, usage
//! and the headers of errors, but it reads bodies and error bodies of any length, hands whole bodies to `tracing` before
//! keys could be taken out, and takes the end of a connection for the end of a stream: a reply cut there just ends.

mod address;
mod draft;
mod endpoint;
mod events;
mod status;

pub(crate) use address::{Address, key};
pub(crate) use draft::Draft;
pub(crate) use endpoint::{Dialect, Endpoint, Fault, secret};
