use crate::{
    context::Context,
    failure::{Exit, Failure},
    printer::{Column, Show},
};

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Every setting with its value and where it comes from; secrets are not shown
    Show,
}

const COLUMNS: [Column; 3] = [
    Column::new("KEY", "key", Show::Text),
    Column::new("VALUE", "value", Show::Text),
    Column::new("FROM", "origin", Show::Text),
];
const FIELDS: [&str; 4] = ["key", "value", "origin", "variable"];

pub fn run(context: &Context<'_>, action: &Action) -> Result<Exit, Failure> {
    let Action::Show = action;
    let mut list = context.printer.list(&COLUMNS, &FIELDS)?;
    for shown in context.configuration.shown() {
        list.push(shown)?;
    }
    list.finish("no settings")?;
    Ok(Exit::Done)
}
