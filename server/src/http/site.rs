use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use leptos::prelude::LeptosOptions;

/// The files that the build made for browsers.
#[derive(Clone, Debug)]
pub struct Site {
    root: PathBuf,
}

/// Under this path a file's name holds its hash or version, so that it never changes.
const FOR_EVER: [&str; 3] = ["/pkg/", "/vendor/", "/basemap/detail-"];

impl Site {
    /// The site in this folder.
    pub fn new(root: &Path) -> Self {
        // Absolute: Leptos looks for relative names beside the binary.
        Self { root: std::path::absolute(root).unwrap_or_else(|_| root.to_owned()) }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether it was built: without it pages have neither style nor script.
    pub fn is_built(&self) -> bool {
        self.hash_file().is_file()
    }

    /// What Leptos has to know to name script, WASM and style.
    pub fn leptos_options(&self) -> LeptosOptions {
        LeptosOptions::builder()
            .output_name("hostatlas")
            .site_root(self.root.to_string_lossy().into_owned())
            .site_pkg_dir("pkg")
            // A missing file must not stop a page from being made.
            .hash_files(self.is_built())
            .hash_file(Arc::<str>::from(self.hash_file().to_string_lossy().into_owned()))
            .build()
    }

    fn hash_file(&self) -> PathBuf {
        self.root.join("hash.txt")
    }
}

/// Says how long a file may be kept, and answers 304 to who has it.
pub async fn cache(request: Request, next: Next) -> Response {
    let for_ever = FOR_EVER.iter().any(|path| request.uri().path().starts_with(path));
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let mut response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let Some(tag) = entity_tag(&response) else { return response };
    let caching =
        if for_ever { "public, max-age=31536000, immutable" } else { "public, max-age=0, must-revalidate" };
    let same = known.is_some_and(|known| {
        known.to_str().is_ok_and(|known| known == "*" || known.split(',').any(|one| one.trim() == tag))
    });
    if same {
        response = StatusCode::NOT_MODIFIED.into_response();
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Made of what changes when the file does. Only files have a time of change: pages get no tag.
fn entity_tag(response: &Response) -> Option<String> {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let modified = text(header::LAST_MODIFIED)?;
    let length = text(header::CONTENT_LENGTH)?;
    let encoding = text(header::CONTENT_ENCODING).unwrap_or("plain");
    let compact: String = modified.chars().filter(char::is_ascii_alphanumeric).collect();
    Some(format!("\"{compact}-{length}-{encoding}\""))
}
