//! Who takes part in a run: guide and agents by their names, and the model that they ask.

use crate::agents::{self, Agent, AgentOptions};
use crate::budget::Resource;
use crate::guides::{self, Guide};
use crate::session::{RunOptions, SessionError, Setup};

/// What asks a model needs one, and what counts money needs its price.
pub(super) fn check_model(setup: &Setup, options: &RunOptions) -> Result<(), SessionError> {
    let Some(model) = &setup.model else {
        let asking = agents::registry()
            .iter()
            .filter(|entry| {
                entry.needs_model && options.agents.iter().any(|name| name == entry.name)
            })
            .map(|entry| format!("agent {}", entry.name));
        let guide = guides::registry()
            .iter()
            .filter(|entry| entry.needs_model && entry.name == options.guide)
            .map(|entry| format!("guide {}", entry.name));
        return match asking.chain(guide).next() {
            Some(what) => Err(SessionError::NoModel { what }),
            None => Ok(()),
        };
    };
    if options.budget.limit(Resource::Dollars).is_some() && model.price().is_none() {
        return Err(SessionError::UnknownPrice {
            model: model.name().to_owned(),
        });
    }
    Ok(())
}

pub(super) fn build_guide(name: &str) -> Result<Box<dyn Guide>, SessionError> {
    let names = guides::registry().iter().map(|entry| entry.name);
    guides::registry()
        .iter()
        .find(|entry| entry.name == name)
        .map(|entry| (entry.build)())
        .ok_or_else(|| unknown("guide", name, names))
}

pub(super) fn build_agents(options: &RunOptions) -> Result<Vec<Box<dyn Agent>>, SessionError> {
    let names = || agents::registry().iter().map(|entry| entry.name);
    let agent_options = AgentOptions { host: options.host };
    options
        .agents
        .iter()
        .map(|name| {
            agents::registry()
                .iter()
                .find(|entry| entry.name == name)
                .map(|entry| (entry.build)(&agent_options))
                .ok_or_else(|| unknown("agent", name, names()))
        })
        .collect()
}

fn unknown<'a>(
    kind: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> SessionError {
    let known = known.collect::<Vec<_>>().join(", ");
    SessionError::Unknown {
        kind,
        name: name.to_owned(),
        known,
    }
}
