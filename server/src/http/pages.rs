use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::Response,
};
use hostatlas_app::{App, shell};
use hostatlas_services::Services;
use leptos::prelude::{provide_context, use_context};
use leptos_axum::{LeptosRoutes, ResponseOptions, generate_route_list};
use tower_http::services::ServeDir;

use super::{AppState, Site, headers::page_policy, site};

/// Adds pages, files and the server functions, which Leptos routes itself, to `router`.
pub fn add(router: Router<AppState>, state: &AppState, site: &Site) -> Router<AppState> {
    let options = state.options.clone();
    let services = state.services.clone();
    let context = move || provide_page_context(&services);
    let missing = leptos_axum::ErrorHandler::new_with_context(context.clone(), shell, options.clone());
    let files = ServeDir::new(site.root())
        .precompressed_br()
        .precompressed_gzip()
        .append_index_html_on_directories(false)
        .fallback(missing);
    router
        .leptos_routes_with_context(state, generate_route_list(App), context, move || shell(options.clone()))
        .fallback_service(Router::new().fallback_service(files).layer(middleware::from_fn(site::cache)))
}

/// What pages find in their context, and the policy under which their scripts run.
fn provide_page_context(services: &Services) {
    provide_context(services.clone());
    let (Some(answer), Some(nonce)) = (use_context::<ResponseOptions>(), leptos::nonce::use_nonce()) else {
        return;
    };
    if let Ok(policy) = HeaderValue::from_str(&page_policy(&nonce)) {
        answer.insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
    // The nonce is good for one answer.
    answer.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Sends a form back to a page of ours only, whatever its Referer said: Leptos would follow it anywhere.
pub async fn stay_here(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let Some(target) = answer.headers().get(header::LOCATION) else { return answer };
    let path = target.to_str().ok().and_then(own_path).unwrap_or_else(|| "/".to_owned());
    let path = HeaderValue::from_str(&path).unwrap_or(HeaderValue::from_static("/"));
    answer.headers_mut().insert(header::LOCATION, path);
    // The browser is to ask for the page, not to send the form to it.
    if answer.status() == StatusCode::FOUND {
        *answer.status_mut() = StatusCode::SEE_OTHER;
    }
    answer
}

/// Path and query of an address; none where a browser could read another host out of it.
fn own_path(target: &str) -> Option<String> {
    let uri: http::Uri = target.parse().ok()?;
    let path = uri.path_and_query()?.as_str();
    (path.starts_with('/') && !path.starts_with("//") && !path.contains('\\')).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_comes_back_to_our_own_pages_alone() {
        let targets = [
            "http://localhost:3000/jobs?state=running",
            "/jobs",
            "http://evil.example/x",
            "//evil.example",
            "http://a//evil.example",
            "http://a/\\evil.example",
        ];
        let own = |path: &str| Some(path.to_owned());
        assert_eq!(
            targets.map(own_path),
            [own("/jobs?state=running"), own("/jobs"), own("/x"), None, None, None]
        );
    }
}
