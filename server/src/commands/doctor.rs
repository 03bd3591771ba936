use hostatlas_services::{DoctorFinding, DoctorReport, OpenMode, Severity, now};

use crate::{
    configuration::Origin,
    context::Context,
    failure::{Exit, Failure},
    printer::Format,
};

pub async fn run(context: &Context<'_>) -> Result<Exit, Failure> {
    let mut report = examine(context).await?;
    report.findings.insert(0, configuration(context));
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
    let (exit, what) = match report.worst() {
        Severity::Ok | Severity::Note => return Ok(Exit::Done),
        Severity::Warning => {
            (Exit::PartFailed, "something is missing or waits: see the findings of severity `warning`")
        }
        Severity::Error => (Exit::Failed, "something is wrong: see the findings of severity `error`"),
    };
    if context.printer.format() != Format::Table {
        context.printer.note(what);
    }
    Ok(exit)
}

/// Of everything, or where the database cannot be used of all the rest. A database that is missing is not made.
async fn examine(context: &Context<'_>) -> Result<DoctorReport, Failure> {
    let database = &context.configuration.database;
    let finding = if database.is_yet_to_be_made() {
        DoctorFinding {
            severity: Severity::Warning,
            subject: "database".to_owned(),
            detail: format!("`{database}` does not exist yet"),
            remedy: Some(
                "run `hostatlas import scan.json`, which makes it, or name another with `HOSTATLAS_DATABASE_URL`"
                    .to_owned(),
            ),
        }
    } else {
        match context.services_as_they_are(OpenMode::Existing).await {
            Ok(services) => return Ok(services.admin().doctor().await?),
            Err(failure) => DoctorFinding {
                severity: Severity::Error,
                subject: "database".to_owned(),
                detail: [&[failure.to_string()], failure.details()].concat().join(": "),
                remedy: failure.hint().map(str::to_owned),
            },
        }
    };
    let (locator, config) = context.without_database();
    Ok(DoctorReport::without_database(finding, &locator, &config, now()))
}

/// Which settings are not the defaults. One that cannot be understood ends every command.
fn configuration(context: &Context<'_>) -> DoctorFinding {
    let default = Origin::Default.to_string();
    let given = context.configuration.shown().iter().filter(|shown| shown.origin != default);
    let given: Vec<_> = given.map(|shown| format!("`{}` ({})", shown.key, shown.origin)).collect();
    let detail = if given.is_empty() {
        "every setting has its default".to_owned()
    } else {
        format!("set are {}; the rest has its defaults", given.join(", "))
    };
    DoctorFinding {
        severity: Severity::Ok,
        subject: "configuration".to_owned(),
        detail: format!("{detail} (`hostatlas config show` lists all)"),
        remedy: None,
    }
}
