//! Databases as earlier versions left them, and what a schema must not lose.

use std::collections::BTreeSet;

use hostatlas_store::COPY_TABLES;

/// For each migration, rows in what it made, as `SQLite` reads them. Applied right after it, on those of the migrations
/// before, they leave a database that is true to itself and has rows in every table but `copying`.
///
/// A migration that makes a table or a column adds its own. What is here is never changed: it is what was released.
pub const ROWS: [&str; 3] = [
    include_str!("schemas/0001_initial.sql"),
    include_str!("schemas/0002_providers.sql"),
    include_str!("schemas/0003_workers.sql"),
];

/// The same for `PostgreSQL`, whose bytes are written otherwise.
pub fn rows_for_postgres() -> [String; ROWS.len()] {
    ROWS.map(|rows| rows.replace("x'", "'\\x"))
}

/// What a copy leaves behind in either backend, as `table` or `table.column`: who runs now, change numbers, and how far a
/// copy is.
const LEFT_BEHIND: [&str; 5] = ["change", "copying", "duty", "place.changed", "worker"];

/// Every column of a schema is copied, is one of [`LEFT_BEHIND`], or belongs to one of `own_tables`, which the backend
/// alone has. `columns` are all that the engine knows, with their table.
pub fn assert_all_is_copied(columns: impl IntoIterator<Item = (String, String)>, own_tables: &[&str]) {
    let copied = |table: &str, column: &str| {
        COPY_TABLES.iter().any(|copied| copied.name == table && copied.columns.contains(&column))
    };
    let mut known = BTreeSet::new();
    let mut forgotten = Vec::new();
    for (table, column) in columns {
        let name = format!("{table}.{column}");
        let is_left = LEFT_BEHIND.iter().any(|left| *left == table || *left == name);
        let is_copied = copied(&table, &column);
        assert!(!(is_left && is_copied), "`{name}` is both copied and left behind");
        if !is_left && !is_copied && !own_tables.contains(&table.as_str()) {
            forgotten.push(name.clone());
        }
        known.insert(name);
    }
    assert_eq!(forgotten, Vec::<String>::new(), "neither copied nor named among what is left behind");
    for table in COPY_TABLES {
        for column in table.columns {
            assert!(known.contains(&format!("{}.{column}", table.name)), "no `{}.{column}`", table.name);
        }
    }
}
