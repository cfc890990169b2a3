//! From a SPEC to a model.

use crate::backends::{BackendEntry, Failure, Opened, Opening, Pricing, registry};
use crate::control::Control;
use crate::error::ChatError;
use crate::message::{ChatReply, ChatRequest};
use crate::model::{ChatModel, Price};
use crate::options::OpenOptions;
use crate::prices::Prices;
use crate::secrets::Secrets;
use crate::wrappers;

/// Opens the model that `spec` names, such as `openai:gpt-5-mini` or `command:./answer`; see [`registry`] for the kinds.
pub fn open(spec: &str, options: &OpenOptions) -> Result<Box<dyn ChatModel>, ChatError> {
    let secrets = Secrets::read(&options.environment);
    open_with(spec, options, &secrets).map_err(|mut error| {
        secrets.clean_error(&mut error);
        error
    })
}

/// All backends: the registry's, then those of other crates.
pub(crate) fn entries(options: &OpenOptions) -> impl Iterator<Item = &BackendEntry> {
    registry().iter().chain(&options.backends)
}

fn open_with(
    spec: &str,
    options: &OpenOptions,
    secrets: &Secrets,
) -> Result<Box<dyn ChatModel>, ChatError> {
    let (prefix, rest) = spec.split_once(':').unwrap_or((spec, ""));
    let Some(entry) = entries(options).find(|entry| entry.prefix == prefix) else {
        let examples: Vec<&str> = entries(options).map(|entry| entry.example).collect();
        let why = format!("it should look like one of {}", examples.join(", "));
        return Err(ChatError::Spec {
            spec: spec.to_owned(),
            why,
        });
    };
    let opening = Opening {
        spec,
        rest,
        options,
        secrets,
    };
    if rest.trim().is_empty() {
        return Err(opening.wrong(format!("it should look like {}", entry.example)));
    }
    let mut opened = (entry.open)(&opening)?;
    opened.name = secrets.redact(&opened.name);
    let price = price(&opened, options)?;
    Ok(Box::new(Model {
        name: opened.name.clone(),
        price,
        backend: wrappers::wrap(opened, price, options, secrets),
    }))
}

fn price(opened: &Opened, options: &OpenOptions) -> Result<Option<Price>, ChatError> {
    match &opened.pricing {
        Pricing::Fixed(price) => Ok(*price),
        Pricing::Table { model, published } => {
            let own = options.prices.as_deref().map(Prices::read).transpose()?;
            let names = [opened.name.as_str(), model];
            let own = own.and_then(|prices| prices.of(&names));
            Ok(own.or_else(|| Prices::built_in().filter(|_| *published)?.of(&names)))
        }
    }
}

/// A backend in its wrappers.
struct Model {
    name: String,
    price: Option<Price>,
    backend: Box<dyn crate::Backend>,
}

impl ChatModel for Model {
    fn name(&self) -> &str {
        &self.name
    }

    fn complete(&self, request: &ChatRequest, control: &Control) -> Result<ChatReply, ChatError> {
        self.backend
            .ask(request, control)
            .map_err(|failure| match failure {
                Failure::Final(error) => error,
                Failure::Retry { why, .. } => ChatError::Unreachable {
                    model: self.name.clone(),
                    tries: 1,
                    why,
                },
            })
    }

    fn price(&self) -> Option<Price> {
        self.price
    }
}
