//! Tables for people, and the same in Markdown.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, TableComponent, presets};

/// A column: its title, and whether it holds numbers (which align to the right).
#[derive(Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    number: bool,
}

/// A column of text.
pub(crate) const fn text(title: &'static str) -> Column {
    Column {
        title,
        number: false,
    }
}

/// A column of numbers.
pub(crate) const fn number(title: &'static str) -> Column {
    Column {
        title,
        number: true,
    }
}

/// A table that is as wide as its content.
pub(crate) fn plain(columns: &[Column], rows: &[Vec<String>]) -> String {
    let mut table = table(presets::UTF8_HORIZONTAL_ONLY, columns, rows);
    // A line under the header is enough.
    table.remove_style(TableComponent::HorizontalLines);
    table.remove_style(TableComponent::MiddleIntersections);
    table.set_style(TableComponent::HeaderLines, '─');
    table.set_style(TableComponent::MiddleHeaderIntersections, '─');
    render(&table)
}

/// The same as Markdown.
pub(crate) fn markdown(columns: &[Column], rows: &[Vec<String>]) -> String {
    // A bar would end the cell.
    let escape = |row: &Vec<String>| row.iter().map(|cell| cell.replace('|', "\\|")).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(escape).collect();
    render(&table(presets::ASCII_MARKDOWN, columns, &rows))
}

fn table(preset: &str, columns: &[Column], rows: &[Vec<String>]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(preset)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| cell(column, column.title)));
    for row in rows {
        table.add_row(
            columns
                .iter()
                .zip(row)
                .map(|(column, value)| cell(column, value)),
        );
    }
    table
}

fn render(table: &Table) -> String {
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

fn cell(column: &Column, value: &str) -> Cell {
    let alignment = if column.number {
        CellAlignment::Right
    } else {
        CellAlignment::Left
    };
    // A line break in an answer would break the table, an escape sequence the terminal.
    let visible = |c: char| match c {
        '\n' => '⏎',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    Cell::new(value.chars().map(visible).collect::<String>()).set_alignment(alignment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks() {
        let columns = [text("policy"), number("kept")];
        let rows = [
            vec!["full".to_owned(), "1,234".to_owned()],
            vec!["vl-cache\n".to_owned(), "12".to_owned()],
        ];
        insta::assert_snapshot!("plain", plain(&columns, &rows));
        insta::assert_snapshot!("markdown", markdown(&columns, &rows));
    }
}
