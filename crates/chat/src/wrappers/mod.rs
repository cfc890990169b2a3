//! What stands between a backend and its callers, one file each.

mod cost;
mod limits;
mod redact;
mod retry;
mod text_tools;

use crate::backends::{Backend, Opened, ToolSupport};
use crate::model::Price;
use crate::options::{OpenOptions, ToolStyle};
use crate::secrets::Secrets;

/// Puts the wrappers around a backend.
pub(crate) fn wrap(
    opened: Opened,
    price: Option<Price>,
    options: &OpenOptions,
    secrets: &Secrets,
) -> Box<dyn Backend> {
    let Opened {
        backend,
        name,
        tools,
        direct,
        ..
    } = opened;
    let redacted = |backend| {
        Box::new(redact::Redacted {
            inner: backend,
            secrets: secrets.clone(),
        })
    };
    if direct {
        return redacted(backend);
    }
    let support = match options.tools {
        ToolStyle::Auto => tools,
        ToolStyle::Native => ToolSupport::Native,
        ToolStyle::Text => ToolSupport::Text,
    };
    // Redaction is outside of the plain-text tools, as reading a call may undo what hides a key; and inside of everything
    // that logs.
    let backend = redacted(match support {
        ToolSupport::Native => backend,
        ToolSupport::Text => Box::new(text_tools::TextTools::new(backend, false)),
        ToolSupport::Either => Box::new(text_tools::TextTools::new(backend, true)),
    });
    let backend = Box::new(limits::Limited::new(backend, name.clone(), options));
    let backend = Box::new(retry::Retrying {
        inner: backend,
        name,
        tries: options.tries.max(1),
        backoff: options.backoff,
    });
    Box::new(cost::Priced {
        inner: backend,
        price,
    })
}
