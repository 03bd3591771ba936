/// The known name that `unknown` was probably meant to be: at most a third of its letters differ.
pub fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lowered = unknown.to_lowercase();
    known
        .into_iter()
        .map(|name| (distance(&lowered, &name.to_lowercase()), name))
        .filter(|(edits, name)| *edits <= name.len().max(3) / 3)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's edit distance.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().take(128).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, other) in to.iter().enumerate() {
            let substituted = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_and_nonsense_finds_none() {
        let known = ["database_url", "listen", "mmdb_dir"];
        assert_eq!(
            ["databse_url", "lsiten", "MMDB_DIR", "colour"].map(|unknown| nearest(unknown, known)),
            [Some("database_url"), Some("listen"), Some("mmdb_dir"), None]
        );
    }
}
