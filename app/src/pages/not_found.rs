use hostatlas_domain::ProblemCode;
use leptos::prelude::*;

use super::problem::ProblemView;
use crate::{
    ApiError,
    components::{Chrome, Tab},
};

/// For every path that leads nowhere.
#[component]
pub fn NotFoundPage() -> impl IntoView {
    let error = ApiError::new(ProblemCode::NotFound, "There is no such page.");
    view! {
        <Chrome title="Not found" tab=Tab::None>
            <ProblemView error />
        </Chrome>
    }
}
