//! What holds for `style/`, tested because nothing else would notice.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::workspace;

fn sheets() -> Vec<(String, String)> {
    let folder = workspace::root().join("style");
    workspace::files_below(&folder)
        .unwrap()
        .into_iter()
        .filter(|path: &PathBuf| path.extension().is_some_and(|extension| extension == "css"))
        .map(|path| (path.to_string_lossy().into_owned(), fs::read_to_string(folder.join(&path)).unwrap()))
        .collect()
}

/// The declarations between `selector {` and its closing brace.
fn block<'a>(css: &'a str, selector: &str) -> Vec<&'a str> {
    let start = css.find(selector).unwrap_or_else(|| panic!("no {selector}")) + selector.len();
    css[start..]
        .lines()
        .map(str::trim)
        .take_while(|line| *line != "}")
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn the_dark_theme_is_the_same_whether_the_system_or_the_reader_asks_for_it() {
    let tokens = fs::read_to_string(workspace::root().join("style/tokens.css")).unwrap();

    let by_system = block(&tokens, ":root:not([data-theme=\"light\"]) {");

    assert!(by_system.len() > 40);
    assert_eq!(by_system, block(&tokens, ":root[data-theme=\"dark\"] {"));
}

#[test]
fn no_colour_is_written_outside_the_tokens() {
    let written: Vec<String> = sheets()
        .into_iter()
        .filter(|(name, _)| name != "tokens.css")
        .flat_map(|(name, css)| {
            css.lines()
                .enumerate()
                .filter(|(_, line)| {
                    ["rgb(", "hsl(", "oklch(", ": #"].iter().any(|colour| line.contains(colour))
                })
                .map(|(number, _)| format!("{name}:{}", number + 1))
                .collect::<Vec<_>>()
        })
        .collect();

    assert_eq!(written, Vec::<String>::new());
}

#[test]
fn every_sheet_is_imported_once() {
    let main = fs::read_to_string(workspace::root().join("style/main.css")).unwrap();
    let imported: Vec<String> = main
        .lines()
        .filter_map(|line| line.strip_prefix("@import \"")?.split('"').next().map(str::to_owned))
        .collect();

    let there: BTreeSet<String> =
        sheets().into_iter().map(|(name, _)| name).filter(|name| name != "main.css").collect();

    assert_eq!(imported.iter().cloned().collect::<BTreeSet<_>>(), there);
    assert_eq!(imported.len(), there.len());
}
