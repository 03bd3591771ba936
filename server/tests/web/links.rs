//! Every link of every page leads somewhere, in every state that a person meets the pages in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::support::{Installation, Server, client};

/// What is reached from where a person starts.
const STARTS: [&str; 12] = [
    "/",
    "/?list=1",
    "/hosts",
    "/coverage",
    "/jobs",
    "/providers",
    "/workers",
    "/schedules",
    "/databases",
    "/nothing-of-this-name",
    "/hosts?q=colour:red",
    "/hosts/198.51.100.1",
];
/// Links of pages that are so many links away from a start are followed, and no farther: facets and chips lead from any
/// query to any other.
const DEPTH: usize = 2;

/// One answer, as far as links are concerned.
#[derive(Default)]
struct Page {
    status: u16,
    ids: BTreeSet<String>,
    links: BTreeSet<String>,
    actions: BTreeSet<String>,
}

impl Page {
    async fn get(server: &Server, path: &str) -> Self {
        let request = client().get(server.url(path)).header("accept", "text/html");
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("text/html")) {
            return Self { status, ..Self::default() };
        }
        let html = answer.text().await.expect("a page");
        let mut page = Self { status, ..Self::default() };
        for tag in tags(&html) {
            page.ids.extend(attribute(tag, "id"));
            match tag.split_ascii_whitespace().next() {
                Some("a") => page.links.extend(attribute(tag, "href")),
                Some("form") if tag.contains("method=\"post\"") => {
                    page.actions.extend(attribute(tag, "action"));
                }
                Some("form") => page.links.extend(attribute(tag, "action")),
                _ => {}
            }
        }
        page
    }
}

/// The inside of every opening tag. A `>` in an attribute is written as it is, between quotes.
fn tags(html: &str) -> impl Iterator<Item = &str> {
    html.match_indices('<').filter_map(|(at, _)| {
        let rest = &html[at + 1..];
        if !rest.starts_with(|first: char| first.is_ascii_lowercase()) {
            return None;
        }
        let mut quoted = false;
        let end = rest.find(|letter| {
            quoted ^= letter == '"';
            letter == '>' && !quoted
        })?;
        Some(&rest[..end])
    })
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    let escapes =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    Some(escapes.iter().fold(value.to_owned(), |text, (from, to)| text.replace(from, to)))
}

/// The faults that following every link finds, each with the page it is on; and how many pages were looked at.
async fn faults(server: &Server) -> (Vec<String>, usize) {
    let mut pages: BTreeMap<String, Page> = BTreeMap::new();
    let mut open: VecDeque<(String, usize)> = STARTS.iter().map(|start| ((*start).to_owned(), 0)).collect();
    let mut found = Vec::new();
    while let Some((path, depth)) = open.pop_front() {
        if pages.contains_key(&path) {
            continue;
        }
        let page = Page::get(server, &path).await;
        if depth < DEPTH {
            open.extend(page.links.iter().filter_map(|link| Some((target(&path, link)?.0, depth + 1))));
        }
        pages.insert(path, page);
    }
    let mut actions: BTreeMap<&String, u16> = BTreeMap::new();
    for (path, page) in &pages {
        for link in &page.links {
            found.extend(fault(&pages, path, link).map(|fault| format!("{path}: {link} {fault}")));
        }
        for action in &page.actions {
            if !actions.contains_key(action) {
                actions.insert(action, Page::get(server, action).await.status);
            }
            // Asked for without sending the form, what is there says that it takes no GET.
            if actions[action] != 405 {
                found.push(format!("{path}: the form's {action} answers {}", actions[action]));
            }
        }
    }
    (found, pages.len())
}

/// Path with query, and fragment; none for another host.
fn target(page: &str, link: &str) -> Option<(String, Option<String>)> {
    let (path, fragment) = match link.split_once('#') {
        Some((path, fragment)) => (path, Some(fragment.to_owned())),
        None => (link, None),
    };
    match path {
        "" => Some((page.to_owned(), fragment)),
        path if path.starts_with('/') => Some((path.to_owned(), fragment)),
        _ => None,
    }
}

fn fault(pages: &BTreeMap<String, Page>, page: &str, link: &str) -> Option<String> {
    let Some((path, fragment)) = target(page, link) else {
        let is_sound = link.starts_with("https://") && link.parse::<reqwest::Url>().is_ok();
        return (!is_sound).then(|| "is neither a path nor an https address".to_owned());
    };
    // Links of the outermost pages are not followed.
    let there = pages.get(&path)?;
    if there.status != 200 && path != page {
        return Some(format!("answers {}", there.status));
    }
    let fragment = fragment?;
    (!there.ids.contains(&fragment)).then(|| format!("names `{fragment}`, which is not on that page"))
}

async fn assert_every_link_leads_somewhere(installation: &Installation, serve: &[&str], pages: usize) {
    let server = installation.serve_with(serve);
    let (faults, followed) = faults(&server).await;
    assert_eq!(faults, Vec::<String>::new());
    assert!(followed >= pages, "only {followed} pages were found");
}

#[tokio::test]
async fn every_link_leads_somewhere_while_nothing_is_imported() {
    let installation = Installation::without_databases();
    assert_every_link_leads_somewhere(&installation, &[], 20).await;
}

#[tokio::test]
async fn every_link_leads_somewhere_without_a_location_database() {
    let installation = Installation::without_databases();
    let scan = installation.write("scan.json", crate::support::SCAN);
    assert_eq!(installation.run(&["import", &scan]).code, Some(0));
    assert_every_link_leads_somewhere(&installation, &["--no-worker"], 60).await;
}

#[tokio::test]
async fn every_link_leads_somewhere_while_jobs_are_paused_or_cancelled() {
    let installation = Installation::imported();
    assert_eq!(installation.run(&["jobs", "pause", "geolocation"]).code, Some(0));
    assert_every_link_leads_somewhere(&installation, &["--no-worker"], 60).await;
    assert_eq!(installation.run(&["jobs", "cancel", "--all"]).code, Some(0));
    assert_every_link_leads_somewhere(&installation, &["--no-worker"], 60).await;
}

#[tokio::test]
async fn every_link_leads_somewhere_when_hosts_are_located() {
    let installation = Installation::located();
    assert_every_link_leads_somewhere(&installation, &[], 100).await;
}
