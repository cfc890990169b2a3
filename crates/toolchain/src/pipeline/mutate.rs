//! Edits at random.

use rand::Rng;
use rand::seq::IndexedRandom as _;

use super::catalogue::{Catalogue, Extra};
use super::edit::Edit;
use super::fixed::is_fixed;
use super::tree::{Level, Node, Pipeline, Place};

/// Edits that are drawn before giving up.
const ATTEMPTS: usize = 64;
/// How often a pass of the catalogue goes where it is most likely of use, rather than anywhere.
const BESIDE: f64 = 0.75;
/// Most repetitions that are drawn.
const TIMES: u32 = 3;

/// Changes one thing at random. `None` only where nothing can be changed, such as in a pipeline of fixed passes under an
/// empty catalogue.
pub fn mutate(
    pipeline: &Pipeline,
    random: &mut (impl Rng + ?Sized),
    catalogue: &Catalogue,
) -> Option<(Pipeline, Edit)> {
    let places = pipeline.places();
    (0..ATTEMPTS).find_map(|_| {
        let edit = draw(pipeline, &places, random, catalogue)?;
        let changed = edit.apply(pipeline).ok()?;
        (changed != *pipeline).then_some((changed, edit))
    })
}

/// Adds a pass of the catalogue at the place where it is most likely of use: before the last run of the first of the
/// passes beside which it should be.
pub fn suggestion(pipeline: &Pipeline, extra: &Extra) -> Option<Edit> {
    let places = pipeline.places();
    let node = node_of(extra, pipeline)?;
    extra.beside.iter().find_map(|name| {
        let is_it = |place: &&Place<'_>| place.node.name == *name;
        let place = places.iter().rev().find(is_it)?;
        insertion(&node, extra.levels, place, &places, true)
    })
}

fn draw(
    pipeline: &Pipeline,
    places: &[Place<'_>],
    random: &mut (impl Rng + ?Sized),
    catalogue: &Catalogue,
) -> Option<Edit> {
    match random.random_range(0..100) {
        0..30 => add(pipeline, places, random, catalogue),
        30..42 => again(places, random),
        42..58 => {
            let place = pick(places, random)?;
            Some(Edit::Drop {
                at: place.position.clone(),
            })
        }
        58..70 => shift(places, random),
        70..75 => {
            let place = pick(places, random)?;
            Some(Edit::Swap {
                at: place.position.clone(),
            })
        }
        75..80 => {
            let place = pick(places, random)?;
            Some(Edit::Repeat {
                at: place.position.clone(),
                times: random.random_range(2..=TIMES),
            })
        }
        _ => set(places, random, catalogue),
    }
}

/// A node at random that is not fixed; the large groups are rare, since edits of them are crude.
fn pick<'p, 'a>(
    places: &'p [Place<'a>],
    random: &mut (impl Rng + ?Sized),
) -> Option<&'p Place<'a>> {
    let place = places.choose(random)?;
    let size = place.node.passes().len();
    (!is_fixed(place.node) && random.random_range(0..size.max(1)) < 2).then_some(place)
}

/// A pass of the catalogue somewhere.
fn add(
    pipeline: &Pipeline,
    places: &[Place<'_>],
    random: &mut (impl Rng + ?Sized),
    catalogue: &Catalogue,
) -> Option<Edit> {
    let extra = catalogue.extras().choose(random)?;
    let node = node_of(extra, pipeline)?;
    let neighbours: Vec<&Place<'_>> = places
        .iter()
        .filter(|place| extra.beside.contains(&place.node.name.as_str()))
        .collect();
    let place = if !neighbours.is_empty() && random.random_bool(BESIDE) {
        *neighbours.choose(random)?
    } else {
        places.choose(random)?
    };
    insertion(&node, extra.levels, place, places, random.random())
}

/// The pass with the parameters that it has in the pipeline, if it is there.
fn node_of(extra: &Extra, pipeline: &Pipeline) -> Option<Node> {
    let present = pipeline
        .passes()
        .into_iter()
        .find(|pass| pass.name == extra.name());
    present.cloned().or_else(|| extra.text.parse().ok())
}

/// Another run of a pass that is there.
fn again(places: &[Place<'_>], random: &mut (impl Rng + ?Sized)) -> Option<Edit> {
    let source = pick(places, random)?;
    let place = places.choose(random)?;
    insertion(source.node, &[source.level], place, places, random.random())
}

/// Puts a node before or behind a place, with the groups that it needs there.
fn insertion(
    node: &Node,
    levels: &[Level],
    place: &Place<'_>,
    places: &[Place<'_>],
    before: bool,
) -> Option<Edit> {
    let node = levels
        .iter()
        .find_map(|level| node.clone().raised(*level, place.level))?;
    let at = if before {
        place.position.clone()
    } else {
        place.position.next()
    };
    // Right beside itself a pass has nothing left to do.
    let twin = |other: &Place<'_>| {
        other.node == &node && (other.position == at || other.position.next() == at)
    };
    (!places.iter().any(twin)).then_some(Edit::Insert { at, node })
}

/// A node to another place of its level.
fn shift(places: &[Place<'_>], random: &mut (impl Rng + ?Sized)) -> Option<Edit> {
    let source = pick(places, random)?;
    let targets: Vec<&Place<'_>> = places
        .iter()
        .filter(|place| place.level == source.level)
        .collect();
    let target = targets.choose(random)?;
    let to = if random.random() {
        target.position.clone()
    } else {
        target.position.next()
    };
    Some(Edit::Move {
        from: source.position.clone(),
        to,
    })
}

/// Another parameter.
fn set(
    places: &[Place<'_>],
    random: &mut (impl Rng + ?Sized),
    catalogue: &Catalogue,
) -> Option<Edit> {
    let choices: Vec<_> = places
        .iter()
        .flat_map(|place| {
            catalogue
                .options(place.node)
                .into_iter()
                .map(move |option| (place, option))
        })
        .collect();
    let (place, option) = choices.choose(random)?;
    let alternatives = option.alternatives(place.node.parameters.as_deref());
    let parameters = alternatives.choose(random)?.clone();
    Some(Edit::SetParameters {
        at: place.position.clone(),
        parameters,
    })
}
