//! `report.html`: the report for people, one file without scripts that it needs and without anything from elsewhere.
//!
//! Names, texts and outputs come from the program, which may be hostile: the template escapes whatever it prints, and so
//! does [`svg`], whose pictures are the only thing that it prints as they are. Should something get through nonetheless, the
//! page's own policy keeps the browser from loading or sending anything.

mod claims;
mod facts;
mod page;
mod parts;
mod plot;
mod search;
mod svg;
mod tree;

use minijinja::{AutoEscape, Environment};

use super::wire::Report;
use page::Page;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page.
pub fn render(report: &Report) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.add_template("page", TEMPLATE)?;
    let page = Page::new(report, STYLE, SCRIPT);
    environment.get_template("page")?.render(page)
}
