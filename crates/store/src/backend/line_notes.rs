use hostatlas_domain::{BadLine, LineOutcome, LineReason};
use serde::{Deserialize, Serialize};

use super::corrupt;
use crate::StoreError;

/// One entry of the text that an import keeps in `first_bad`.
///
/// A bad record has a line and a reason alone, as all entries had in the first version, whose texts are still read.
#[derive(Serialize, Deserialize)]
struct Note {
    line: u64,
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<LineOutcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

/// What the column `first_bad` holds: bad records, and why others were repaired or skipped.
pub fn line_notes_text(first_bad: &[BadLine], reasons: &[LineReason]) -> Result<String, StoreError> {
    let bad = first_bad.iter().map(|bad| Note {
        line: bad.line,
        reason: bad.reason.clone(),
        outcome: None,
        count: None,
    });
    let others = reasons.iter().map(|reason| Note {
        line: reason.line,
        reason: reason.reason.clone(),
        outcome: Some(reason.outcome),
        count: Some(reason.count),
    });
    let notes: Vec<Note> = bad.chain(others).collect();
    serde_json::to_string(&notes).map_err(|error| StoreError::Engine(error.into()))
}

/// Reads what [`line_notes_text`] wrote.
pub fn line_notes(text: &str) -> Result<(Vec<BadLine>, Vec<LineReason>), StoreError> {
    let notes: Vec<Note> =
        serde_json::from_str(text).map_err(|_| corrupt("notes on the lines of an import"))?;
    let (mut first_bad, mut reasons) = (Vec::new(), Vec::new());
    for Note { line, reason, outcome, count } in notes {
        match outcome {
            None => first_bad.push(BadLine { line, reason }),
            Some(outcome) => reasons.push(LineReason { outcome, reason, count: count.unwrap_or(1), line }),
        }
    }
    Ok((first_bad, reasons))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_back_and_so_are_those_of_the_first_version() {
        let bad = vec![BadLine { line: 3, reason: "no address".to_owned() }];
        let reasons = vec![LineReason {
            outcome: LineOutcome::NotUnderstood,
            reason: "record of httpx".to_owned(),
            count: 12,
            line: 1,
        }];
        let text = line_notes_text(&bad, &reasons).expect("text");
        assert_eq!(line_notes(&text).expect("notes"), (bad.clone(), reasons));

        let old = r#"[{"line":3,"reason":"no address"}]"#;
        assert_eq!(line_notes(old).expect("notes"), (bad, Vec::new()));
        assert!(line_notes("nonsense").is_err());
    }
}
