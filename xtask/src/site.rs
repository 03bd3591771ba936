//! Builds `target/site`: what the server serves as files.
//!
//! ```text
//! target/site/hash.txt                     js, wasm and css hashes; Leptos reads it (LeptosOptions::hash_file)
//! target/site/pkg/hostatlas.<hash>.{js,wasm,css}
//! target/site/...                          public/, under the same names
//! ```
//!
//! Each text or WASM file has a `.br` and a `.gz` twin. Files in `pkg` carry their content's hash in their name and
//! may be cached for ever; the rest keeps its name and needs an entity tag.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use lightningcss::bundler::{Bundler, FileProvider};
use lightningcss::stylesheet::{MinifyOptions, ParserOptions, PrinterOptions};
use wasm_bindgen_cli_support::Bindgen;

use crate::{compress, workspace};

const SITE: &str = "target/site";
/// What every site file was made from, by content hash. Outside the site, so that it is not served.
const STAMPS: &str = "target/site.json";
const NAME: &str = "hostatlas";
const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// How the WASM is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Small: `wasm-release`, compressed. What people are served.
    Release,
    /// Fast to build and with names kept; not compressed.
    Debug,
}

/// Builds the site and prints the seconds of each part.
pub fn build(profile: Profile) -> Result<()> {
    let mut clock = Clock::start();
    compile(profile)?;
    clock.lap("WASM compiled");
    assemble(profile, &mut clock)
}

/// Builds the site while another Cargo runs: its own Cargo writes to a log.
pub fn build_quietly(profile: Profile) -> Result<()> {
    let mut clock = Clock::start();
    workspace::run_logged(compile_command(profile).env("CARGO_TERM_COLOR", "never"), "wasm")?;
    clock.lap("WASM compiled");
    assemble(profile, &mut clock)
}

fn compile(profile: Profile) -> Result<()> {
    workspace::run(&mut compile_command(profile))
}

fn compile_command(profile: Profile) -> std::process::Command {
    let mut command = workspace::cargo();
    command
        .args(["build", "--package", "frontend", "--lib", "--locked"])
        .args(["--target", WASM_TARGET, "--target-dir", "target/wasm"])
        // Leptos asks for `name.wasm` only if this was set when it was compiled; hashed names do not care, but
        // a server without hash.txt does.
        .env("LEPTOS_OUTPUT_NAME", NAME);
    if profile == Profile::Release {
        command.args(["--profile", "wasm-release"]);
    }
    command
}

fn assemble(profile: Profile, clock: &mut Clock) -> Result<()> {
    let pkg = Path::new(SITE).join("pkg");
    fs::create_dir_all(&pkg)?;
    let mut stamps = Stamps::read();

    let compiled = compiled_wasm(profile);
    let source = workspace::sha256_file(&compiled)?;
    let hashes = match stamps.bindings_of(&source, &pkg) {
        Some(hashes) => hashes,
        None => bind(&compiled, &pkg, profile, &mut stamps.keep)?,
    };
    clock.lap("bindings written");

    let css = bundle_style(&pkg, &mut stamps.keep)?;
    clock.lap("style bundled");

    copy_public(&mut stamps.keep)?;
    clock.lap("public files copied");

    write_if_changed(
        &Path::new(SITE).join("hash.txt"),
        format!("js: {}\nwasm: {}\ncss: {css}\n", hashes.js, hashes.wasm).as_bytes(),
    )?;
    stamps.remove_stale(&pkg)?;
    let paths: Vec<PathBuf> = stamps
        .keep
        .keys()
        .map(|name| Path::new(SITE).join(name))
        .filter(|path| compress::applies_to(path))
        .filter(|path| profile == Profile::Release || !path.starts_with(&pkg))
        .filter(|path| stamps.changed(path) || !compress::has_twins(path))
        .collect();
    compress::write_twins(&paths)?;
    clock.lap(&format!("{} files compressed", paths.len()));

    stamps.write(&source, &hashes)?;
    if profile == Profile::Release {
        report_sizes(&pkg, &hashes, &css);
    }
    Ok(())
}

fn compiled_wasm(profile: Profile) -> PathBuf {
    let folder = match profile {
        Profile::Release => "wasm-release",
        Profile::Debug => "debug",
    };
    Path::new("target/wasm").join(WASM_TARGET).join(folder).join("frontend.wasm")
}

/// The hashes in the names of the two files that a page loads to come alive.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Bindings {
    js: String,
    wasm: String,
}

type ContentHashes = BTreeMap<String, String>;

fn bind(compiled: &Path, pkg: &Path, profile: Profile, keep: &mut ContentHashes) -> Result<Bindings> {
    let made = Path::new("target/wasm/bindings");
    // Old snippets would be copied along.
    let _ = fs::remove_dir_all(made);
    Bindgen::new()
        .input_path(compiled)
        .web(true)?
        .typescript(false)
        .omit_default_module_path(true)
        .remove_name_section(profile == Profile::Release)
        .remove_producers_section(profile == Profile::Release)
        .keep_debug(profile == Profile::Debug)
        .out_name(NAME)
        .generate(made)
        .context("wasm-bindgen failed")?;
    let js = place(&made.join(format!("{NAME}.js")), pkg, "js", keep)?;
    let wasm = place(&made.join(format!("{NAME}_bg.wasm")), pkg, "wasm", keep)?;
    let snippets = made.join("snippets");
    if snippets.is_dir() {
        for relative in workspace::files_below(&snippets)? {
            let bytes = fs::read(snippets.join(&relative))?;
            let name = Path::new("pkg/snippets").join(&relative);
            write_if_changed(&Path::new(SITE).join(&name), &bytes)?;
            keep.insert(name.to_string_lossy().into_owned(), workspace::sha256(&bytes));
        }
    }
    Ok(Bindings { js, wasm })
}

/// Writes a file under a name with its hash, and answers the hash.
fn place(source: &Path, pkg: &Path, extension: &str, keep: &mut ContentHashes) -> Result<String> {
    let bytes = fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
    place_bytes(&bytes, pkg, extension, keep)
}

fn place_bytes(bytes: &[u8], pkg: &Path, extension: &str, keep: &mut ContentHashes) -> Result<String> {
    let content = workspace::sha256(bytes);
    let hash = content[..16].to_owned();
    let name = hashed_name(&hash, extension);
    write_if_changed(&pkg.join(&name), bytes)?;
    keep.insert(format!("pkg/{name}"), content);
    Ok(hash)
}

fn hashed_name(hash: &str, extension: &str) -> String {
    format!("{NAME}.{hash}.{extension}")
}

fn bundle_style(pkg: &Path, keep: &mut ContentHashes) -> Result<String> {
    let css = minified_style(Path::new("style/main.css"))?;
    place_bytes(css.as_bytes(), pkg, "css", keep)
}

fn minified_style(entry: &Path) -> Result<String> {
    let files = FileProvider::new();
    let mut bundler = Bundler::new(&files, None, ParserOptions::default());
    let mut sheet = bundler.bundle(entry).map_err(|error| anyhow!("style: {error}"))?;
    sheet.minify(MinifyOptions::default()).map_err(|error| anyhow!("style: {error}"))?;
    let options = PrinterOptions { minify: true, ..PrinterOptions::default() };
    Ok(sheet.to_css(options).map_err(|error| anyhow!("style: {error}"))?.code)
}

fn copy_public(keep: &mut ContentHashes) -> Result<()> {
    let public = Path::new("public");
    for relative in workspace::files_below(public)? {
        let bytes = fs::read(public.join(&relative))?;
        write_if_changed(&Path::new(SITE).join(&relative), &bytes)?;
        keep.insert(relative.to_string_lossy().into_owned(), workspace::sha256(&bytes));
    }
    Ok(())
}

/// Leaves an equal file alone, so that its modification time, from which entity tags are made, stays.
fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Stamped {
    compiled: String,
    bindings: Option<Bindings>,
    files: ContentHashes,
}

/// What the site was made from last time, and what belongs to it now.
struct Stamps {
    before: Stamped,
    keep: ContentHashes,
}

impl Stamps {
    /// An unreadable or missing stamp file only means that everything is made again.
    fn read() -> Self {
        let before =
            fs::read(STAMPS).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { before, keep: ContentHashes::new() }
    }

    /// The bindings of the last build, if they were made from this very WASM and still stand.
    fn bindings_of(&mut self, source: &str, pkg: &Path) -> Option<Bindings> {
        let bindings = self.before.bindings.clone().filter(|_| self.before.compiled == source)?;
        let names = [hashed_name(&bindings.js, "js"), hashed_name(&bindings.wasm, "wasm")];
        if !names.iter().all(|name| pkg.join(name).is_file()) {
            return None;
        }
        let names = names.map(|name| format!("pkg/{name}"));
        for (name, hash) in &self.before.files {
            if names.contains(name) || name.starts_with("pkg/snippets/") {
                self.keep.insert(name.clone(), hash.clone());
            }
        }
        Some(bindings)
    }

    fn changed(&self, path: &Path) -> bool {
        let name = path.strip_prefix(SITE).unwrap_or(path).to_string_lossy().into_owned();
        self.before.files.get(&name) != self.keep.get(&name)
    }

    /// Removes what no longer belongs to the site, but never a file that was put there by another hand.
    fn remove_stale(&self, pkg: &Path) -> Result<()> {
        for name in self.before.files.keys().filter(|name| !self.keep.contains_key(*name)) {
            compress::remove_with_twins(&Path::new(SITE).join(name));
        }
        // A build that was cut short leaves hashed files that no stamp names.
        for entry in fs::read_dir(pkg)? {
            let path = entry?.path();
            let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            let plain = name.trim_end_matches(".br").trim_end_matches(".gz");
            if path.is_file() && name.starts_with(NAME) && !self.keep.contains_key(&format!("pkg/{plain}")) {
                compress::remove_with_twins(&path);
            }
        }
        Ok(())
    }

    fn write(self, source: &str, bindings: &Bindings) -> Result<()> {
        let now = Stamped { compiled: source.to_owned(), bindings: Some(bindings.clone()), files: self.keep };
        fs::write(STAMPS, serde_json::to_vec_pretty(&now)?).with_context(|| format!("cannot write {STAMPS}"))
    }
}

fn report_sizes(pkg: &Path, hashes: &Bindings, css: &str) {
    let size = |path: PathBuf| compress::brotli_size(&path);
    let wasm = size(pkg.join(hashed_name(&hashes.wasm, "wasm")));
    let js = size(pkg.join(hashed_name(&hashes.js, "js")));
    let css = size(pkg.join(hashed_name(css, "css")));
    let leaflet = size(PathBuf::from(SITE).join("vendor/leaflet-1.9.4/leaflet.js"))
        + size(PathBuf::from(SITE).join("vendor/leaflet-1.9.4/leaflet.css"));
    let base_map = size(PathBuf::from(SITE).join("basemap/countries-110m.json"))
        + size(PathBuf::from(SITE).join("basemap/labels.json"));
    println!(
        "    brotli bytes: wasm {wasm}, glue {js}, style {css}, leaflet {leaflet}, base map {base_map}; together {}",
        wasm + js + css + leaflet + base_map
    );
}

struct Clock {
    last: Instant,
}

impl Clock {
    fn start() -> Self {
        Self { last: Instant::now() }
    }

    fn lap(&mut self, what: &str) {
        let took = std::mem::replace(&mut self.last, Instant::now()).elapsed();
        if took > Duration::from_millis(50) {
            println!("    {what}: {:.1} s", took.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_bundles_into_one_sheet_whose_layers_keep_their_order() {
        let css = minified_style(&workspace::root().join("style/main.css")).unwrap();

        let layers = ["reset", "tokens", "base", "components", "layout"];
        let found = layers.map(|layer| css.find(&format!("@layer {layer}{{")));

        assert!(found.iter().all(Option::is_some) && found.is_sorted(), "{found:?}");
        assert!(!css.contains("@import"));
    }

    #[test]
    fn an_equal_file_keeps_its_modification_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/leaflet.js");
        write_if_changed(&path, b"same").unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();

        write_if_changed(&path, b"same").unwrap();

        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), long_ago);
    }

    #[test]
    fn a_file_under_a_hashed_name_is_found_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let mut keep = ContentHashes::new();

        let hash = place_bytes(b"body{}", folder.path(), "css", &mut keep).unwrap();

        let name = format!("hostatlas.{hash}.css");
        assert_eq!(fs::read(folder.path().join(&name)).unwrap(), b"body{}");
        assert_eq!(keep.into_keys().collect::<Vec<_>>(), [format!("pkg/{name}")]);
    }
}
