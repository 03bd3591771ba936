use hostatlas_domain::{Attribution, Coverage};
use hostatlas_services::{OpenMode, attributions};

use crate::{
    configuration::Shown,
    context::Context,
    failure::{Exit, Failure},
    printer::{Column, Show, fields_help},
};

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Every setting with its value and where it comes from (secrets are not shown), and whose data is in use
    #[command(after_help = fields_help(&FIELDS))]
    Show,
}

const COLUMNS: [Column; 3] = [
    Column::new("KEY", "key", Show::Text),
    Column::new("VALUE", "value", Show::Whole),
    Column::new("FROM", "origin", Show::Text),
];
const FIELDS: [&str; 4] = ["key", "value", "origin", "variable"];

pub async fn run(context: &Context<'_>, action: &Action) -> Result<Exit, Failure> {
    let Action::Show = action;
    let mut list = context.printer.list(&COLUMNS, &FIELDS)?;
    for shown in context.configuration.shown() {
        list.push(shown)?;
    }
    for attribution in in_use(context).await {
        list.push(&row(&attribution))?;
    }
    list.finish("no settings")?;
    Ok(Exit::Done)
}

fn row(attribution: &Attribution) -> Shown {
    Shown {
        key: "attribution".to_owned(),
        value: Some(attribution.to_string()),
        origin: attribution.sources.join(", "),
        variable: String::new(),
    }
}

/// Whose data is in use. The settings are shown whatever becomes of the database, so what cannot be asked is said.
async fn in_use(context: &Context<'_>) -> Vec<Attribution> {
    if context.configuration.database.exists() {
        let stored = match context.services_as_they_are(OpenMode::Existing).await {
            Ok(services) => services.admin().attributions().await.map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        match stored {
            Ok(attributions) => return attributions,
            Err(failure) => context.printer.warning(&format!(
                "which providers located the hosts is not known, so their attributions may be missing: {failure}"
            )),
        }
    }
    attributions(&context.locator_alone(), &Coverage::default())
}
