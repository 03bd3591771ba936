//! The invariants of `docs/ARCHITECTURE.md`, held against the workspace as it is.

#![allow(missing_docs, reason = "for tests alone")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn workspace() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps().other_options(["--offline".to_owned()]);
    command.exec().expect("cargo metadata")
}

fn package<'a>(metadata: &'a Metadata, name: &str) -> &'a Package {
    metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == name)
        .unwrap_or_else(|| panic!("no package {name}"))
}

/// What a package depends on outside its tests.
fn dependencies(package: &Package) -> BTreeSet<String> {
    let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
    normal.map(|dependency| dependency.name.clone()).collect()
}

fn own(package: &Package) -> BTreeSet<String> {
    dependencies(package).into_iter().filter(|name| name.starts_with("hostatlas-")).collect()
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

/// Rust files below a folder of the workspace, tests and build output left out.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut open = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() && !["target", "tests", "benches", "examples"].contains(&name.as_str()) {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

/// Files in whose code, comments and unit tests apart, one of the words stands.
fn naming(folders: &[&str], words: &[&str]) -> Vec<String> {
    let mut files = Vec::new();
    for (path, text) in folders.iter().flat_map(|folder| sources(folder)) {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        if lines.into_iter().any(|line| words.iter().any(|word| line.contains(word))) {
            files.push(path.strip_prefix(root()).expect("in the workspace").display().to_string());
        }
    }
    files.sort();
    files
}

#[test]
fn domain_depends_on_no_runtime_database_http_or_ui_crate() {
    let allowed = names(&["ipnet", "serde", "thiserror", "time", "utoipa"]);
    let found = dependencies(package(&workspace(), "hostatlas-domain"));
    assert_eq!(found.difference(&allowed).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn in_the_browser_app_depends_on_domain_alone() {
    let metadata = workspace();
    let app = package(&metadata, "hostatlas-app");
    let always = app
        .dependencies
        .iter()
        .filter(|dependency| !dependency.optional && dependency.name.starts_with("hostatlas-"));
    assert_eq!(always.map(|dependency| dependency.name.as_str()).collect::<Vec<_>>(), ["hostatlas-domain"]);
    assert!(app.features["hydrate"].iter().all(|feature| !feature.contains("hostatlas-")));
}

#[test]
fn only_server_and_proof_name_a_backend_and_only_backends_name_sqlx() {
    let metadata = workspace();
    let backend = |name: &str| name.starts_with("hostatlas-store-") && name != "hostatlas-store-testing";
    for package in &metadata.packages {
        let name = package.name.as_str();
        let found = dependencies(package);
        // `proof` kills, cuts off and fills up real databases: a tool for developers, not a part of the product.
        if !matches!(name, "server" | "hostatlas-proof") {
            assert!(!found.iter().any(|dependency| backend(dependency)), "{name} names a backend");
        }
        if !name.starts_with("hostatlas-store-") && name != "hostatlas-proof" {
            assert!(!found.contains("sqlx"), "{name} names sqlx");
        }
    }
}

#[test]
fn what_looks_up_and_parses_knows_neither_store_nor_queue() {
    let metadata = workspace();
    for name in ["hostatlas-geolocation", "hostatlas-scan"] {
        assert_eq!(own(package(&metadata, name)), names(&["hostatlas-domain"]), "{name}");
    }
    assert_eq!(
        naming(
            &["crates/queue/src"],
            &["JobKind::Geolocation", "JobKind::BannerGrab", "JobKind::DomainEnum", "JobKind::SslCert"]
        ),
        Vec::<String>::new()
    );
}

#[test]
fn each_crate_depends_on_what_its_row_allows() {
    let metadata = workspace();
    let rows: [(&str, &[&str]); 8] = [
        ("hostatlas-store", &["hostatlas-domain"]),
        ("hostatlas-store-sqlite", &["hostatlas-domain", "hostatlas-store"]),
        ("hostatlas-store-postgres", &["hostatlas-domain", "hostatlas-store"]),
        ("hostatlas-store-testing", &["hostatlas-domain", "hostatlas-store"]),
        ("hostatlas-queue", &["hostatlas-domain", "hostatlas-store"]),
        (
            "hostatlas-services",
            &[
                "hostatlas-domain",
                "hostatlas-geolocation",
                "hostatlas-queue",
                "hostatlas-scan",
                "hostatlas-store",
            ],
        ),
        ("hostatlas-app", &["hostatlas-domain", "hostatlas-services"]),
        (
            "server",
            &[
                "hostatlas-app",
                "hostatlas-domain",
                "hostatlas-services",
                "hostatlas-store-postgres",
                "hostatlas-store-sqlite",
            ],
        ),
    ];
    for (name, allowed) in rows {
        let found = own(package(&metadata, name));
        let allowed = names(allowed);
        assert!(
            found.is_subset(&allowed),
            "{name} also depends on {:?}",
            found.difference(&allowed).collect::<Vec<_>>()
        );
    }
}

#[test]
fn there_is_one_version_of_what_must_not_be_doubled() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("the lock file");
    for name in ["sqlx", "sqlx-core", "libsqlite3-sys", "leptos", "axum", "rustls", "reqwest", "tokio"] {
        let versions = lock.lines().filter(|line| *line == format!("name = \"{name}\"")).count();
        assert!(versions <= 1, "{name} is in the lock file {versions} times");
    }
}

#[test]
fn the_environment_is_read_in_one_module() {
    let mut found = naming(
        &["server/src", "app/src", "crates"],
        &["env::var", "env::vars", "env::temp_dir", "env::home_dir"],
    );
    // What tests and developers run is told in its own way.
    found
        .retain(|file| !["crates/proof/", "crates/test-postgres/"].iter().any(|tool| file.starts_with(tool)));
    assert_eq!(found, ["server/src/configuration/mod.rs"]);
}

#[test]
fn sql_stands_in_backend_crates_only() {
    let folders = [
        "server/src",
        "app/src",
        "crates/domain/src",
        "crates/geolocation/src",
        "crates/queue/src",
        "crates/scan/src",
        "crates/services/src",
        "crates/store/src",
    ];
    assert_eq!(
        naming(&folders, &["SELECT ", "INSERT INTO", "UPDATE ", "DELETE FROM", "sqlx"]),
        Vec::<String>::new()
    );
}

#[test]
fn nothing_below_services_reads_the_system_clock() {
    let folders = [
        "crates/domain/src",
        "crates/geolocation/src",
        "crates/queue/src",
        "crates/scan/src",
        "crates/store/src",
    ];
    // A ledger without a database is a backend of its own: days and months of the calendar need a clock.
    let ledger = "crates/geolocation/src/online/memory_ledger.rs";
    assert_eq!(naming(&folders, &["SystemTime::now", "OffsetDateTime::now"]), [ledger]);
    assert_eq!(naming(&["crates/services/src"], &["SystemTime::now"]), ["crates/services/src/clock.rs"]);
    assert_eq!(naming(&["server/src"], &["SystemTime::now"]), Vec::<String>::new());
}

#[test]
fn rest_and_commands_call_services_and_nothing_below() {
    let below = ["hostatlas_store::", "hostatlas_queue", "hostatlas_geolocation", "hostatlas_scan"];
    assert_eq!(naming(&["server/src", "app/src"], &below), Vec::<String>::new());
}

#[test]
fn what_changes_state_authorizes_first() {
    for (path, text) in sources("server/src/http/api") {
        for method in ["post", "put", "delete", "patch"] {
            for handler in text.split(&format!("#[utoipa::path({method},")).skip(1) {
                let first = first_statement(handler, "Refusal> {");
                assert!(first.starts_with("services.authorize(Permission::"), "{}: {first}", path.display());
            }
        }
    }
}

#[test]
fn every_server_function_authorizes_first() {
    let mut functions = 0;
    for (path, text) in sources("app/src") {
        for function in text.split("\n#[server(").skip(1) {
            let first = first_statement(function, "ApiError> {");
            assert!(first.starts_with("authorize(Permission::"), "{}: {first}", path.display());
            functions += 1;
        }
    }
    assert!(functions > 30, "only {functions} were found");
}

/// The first line of the function that begins in `text`, behind the `opening` of its body.
fn first_statement<'t>(text: &'t str, opening: &str) -> &'t str {
    let body = text.split_once(opening).map(|(_, body)| body).unwrap_or_default();
    body.trim_start().lines().next().unwrap_or_default()
}

#[test]
fn what_is_due_by_schedule_is_told_by_the_clock_of_the_store() {
    let mut found = naming(&["crates/services/src"], &["services.now()", "clock::now()"]);
    found.retain(|file| file.starts_with("crates/services/src/schedules"));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn only_the_printer_writes() {
    let found = naming(&["server/src"], &["println!", "print!(", "eprintln!", "eprint!(", "io::stdout()"]);
    assert_eq!(found, ["server/src/printer/list.rs", "server/src/printer/mod.rs"]);
}

#[test]
fn no_repository_file_of_ours_is_html_made_from_text() {
    assert_eq!(naming(&["app/src"], &["inner_html", "set_inner_html", "bindPopup"]), Vec::<String>::new());
}
