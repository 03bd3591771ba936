use leptos::prelude::*;

/// The head of one column of a [`DataTable`].
pub struct Column {
    head: AnyView,
    class: &'static str,
    sorted: Option<&'static str>,
}

impl Column {
    /// A column of words.
    pub fn text(head: impl IntoView + 'static) -> Self {
        Self { head: head.into_any(), class: "", sorted: None }
    }

    /// A column of numbers: aligned at their last digit.
    pub fn number(head: impl IntoView + 'static) -> Self {
        Self::text(head).class("num")
    }

    /// A column whose head is only read out.
    pub fn unseen(head: &'static str) -> Self {
        Self::text(view! { <span class="visually-hidden">{head}</span> })
    }

    /// With these classes instead.
    pub fn class(mut self, class: &'static str) -> Self {
        self.class = class;
        self
    }

    /// As the column by which the rows are sorted: `ascending` or `descending`.
    pub fn sorted(mut self, order: Option<&'static str>) -> Self {
        self.sorted = order;
        self
    }
}

/// A table: its name for those who do not see it, its heads, its rows.
#[component]
pub fn DataTable(
    /// Its name, which is read out.
    #[prop(into)]
    caption: String,
    /// Its columns.
    columns: Vec<Column>,
    /// Classes beside `table`.
    class: &'static str,
    /// The name of the region in which it scrolls sideways; without one it stands alone.
    #[prop(optional)]
    scrolls: Option<&'static str>,
    /// Its id; with one, the live page exchanges it as a whole.
    #[prop(optional)]
    id: Option<&'static str>,
    /// The live page exchanges the cells of its rows, and never moves a row.
    #[prop(optional)]
    rows_stay: bool,
    /// Its heads are only read out.
    #[prop(optional)]
    headless: bool,
    /// Its rows.
    children: Children,
) -> impl IntoView {
    let head = |column: Column| {
        let Column { head, class, sorted } = column;
        view! {
            <th scope="col" class=(!class.is_empty()).then_some(class) aria-sort=sorted>
                {head}
            </th>
        }
    };
    let table = view! {
        <table
            class=format!("table {class}")
            id=id
            data-live=id.map(|_| "")
            data-live-rows=rows_stay.then_some("")
        >
            <caption class="visually-hidden">{caption}</caption>
            <thead class=headless.then_some("visually-hidden")>
                <tr>{columns.into_iter().map(head).collect_view()}</tr>
            </thead>
            <tbody>{children()}</tbody>
        </table>
    };
    match scrolls {
        Some(name) => view! {
            <div class="table-scroll" role="region" aria-label=format!("{name}, scrolls sideways") tabindex="0">
                {table}
            </div>
        }
        .into_any(),
        None => table.into_any(),
    }
}
