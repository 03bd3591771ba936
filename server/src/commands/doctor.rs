use hostatlas_services::{OpenMode, Severity};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    printer::Format,
};

pub async fn run(context: &Context<'_>) -> Result<Exit, Failure> {
    let report = context.services_as_they_are(OpenMode::Existing).await?.admin().doctor().await?;
    let worst = report.findings.iter().any(|finding| finding.severity == Severity::Error);
    context.printer.object(&report, || {
        let lines = report.findings.iter().map(|finding| {
            let mark = match finding.severity {
                Severity::Ok => "ok      ",
                Severity::Note => "note    ",
                Severity::Warning => "warning ",
                Severity::Error => "error   ",
            };
            let remedy =
                finding.remedy.as_ref().map_or_else(String::new, |remedy| format!("\n          {remedy}"));
            format!("{mark}  {}: {}{remedy}", finding.subject, finding.detail)
        });
        lines.collect::<Vec<_>>().join("\n")
    })?;
    if worst && context.printer.format() != Format::Table {
        context.printer.note("something is wrong: see the findings of severity `error`");
    }
    Ok(if worst { Exit::Failed } else { Exit::Done })
}
