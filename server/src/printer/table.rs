use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::Value;

use super::{Column, Show, json};

/// Longer cells are cut: a table is for looking, `--json` is for reading.
const WIDEST_CELL: usize = 60;

/// Rows as a table without lines; on a terminal it fits the width.
pub fn render(columns: &[Column<'_>], rows: &[Value], header: bool, fit: bool) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_content_arrangement(if fit {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    });
    if header {
        table.set_header(columns.iter().map(|column| column.heading));
    }
    for row in rows {
        table.add_row(columns.iter().map(|column| show(json::at(row, column.field), column.show)));
    }
    for (index, column) in columns.iter().enumerate() {
        if let Some(drawn) = table.column_mut(index) {
            drawn.set_padding((0, 2));
            if column.show == Show::Number {
                drawn.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Names and values below each other, the values aligned.
pub fn key_values(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    // A value of several lines stays in its column.
    let below = format!("\n{:width$}  ", "");
    let lines = pairs
        .iter()
        .map(|(name, value)| format!("{name:<width$}  {}", value.trim_end().replace('\n', &below)));
    lines.collect::<Vec<_>>().join("\n")
}

/// A number with its thousands apart: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn show(value: Option<&Value>, how: Show) -> String {
    let text = match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if how == Show::Time => moment(text),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(truth)) => if *truth { "yes" } else { "no" }.to_owned(),
        Some(Value::Number(number)) => {
            number.as_u64().filter(|_| how == Show::Number).map_or_else(|| number.to_string(), count)
        }
        Some(Value::Array(items)) => {
            let items: Vec<String> = items
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                .collect();
            items.join(", ")
        }
        Some(object) => object.to_string(),
    };
    // A cell is one line: what stood on two lines keeps a blank between.
    let text = text.replace(['\n', '\t'], " ");
    hostatlas_domain::sanitize(&text, if how == Show::Whole { usize::MAX } else { WIDEST_CELL })
}

fn moment(text: &str) -> String {
    text.parse::<hostatlas_domain::Timestamp>()
        .map_or_else(|_| text.to_owned(), |moment| moment.to_readable().trim_end_matches(" UTC").to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_aligns_numbers_to_the_right_and_shows_what_is_missing() {
        let columns = [Column::new("CITY", "city", Show::Text), Column::new("HOSTS", "hosts", Show::Number)];
        let rows = [json!({"city": "Graz", "hosts": 12_345}), json!({"city": null, "hosts": 7})];
        assert_eq!(render(&columns, &rows, true, false), "CITY   HOSTS\nGraz  12,345\n-          7");
    }

    #[test]
    fn text_of_several_lines_stays_in_its_cell_or_column() {
        let columns = [Column::new("ERROR", "error", Show::Text), Column::new("ID", "id", Show::Number)];
        let rows = [json!({"error": "refused\nby peer", "id": 1})];
        assert_eq!(render(&columns, &rows, true, false), "ERROR            ID\nrefused by peer   1");
        let pairs = [("job", "1".to_owned()), ("last error", "refused\nby peer\n".to_owned())];
        assert_eq!(key_values(&pairs), "job         1\nlast error  refused\n            by peer");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }
}
