use crate::support::{Installation, client};

async fn page(server: &crate::support::Server, path: &str) -> (u16, String) {
    let answer =
        client().get(server.url(path)).header("accept", "text/html").send().await.expect("an answer");
    let status = answer.status().as_u16();
    assert!(answer.headers()["content-type"].to_str().expect("text").starts_with("text/html"), "{path}");
    (status, answer.text().await.expect("a page"))
}

#[tokio::test]
async fn rows_are_in_the_html_without_any_script() {
    let installation = Installation::located();
    let server = installation.serve();
    let cases = [
        ("/hosts", "193.61.165.138"),
        ("/hosts?q=country:US", "8.8.8.8"),
        ("/hosts/193.61.165.139", "London"),
        ("/coverage", "no_record"),
        ("/jobs", "geolocation"),
    ];
    for (path, expected) in cases {
        let (status, html) = page(&server, path).await;
        assert_eq!(status, 200, "{path}");
        assert!(html.contains(expected), "{path} lacks {expected}");
    }
}

#[tokio::test]
async fn the_map_page_has_its_container() {
    let installation = Installation::located();
    let server = installation.serve();
    let (status, html) = page(&server, "/").await;
    assert_eq!(status, 200);
    assert!(html.contains("id=\"map\"") && html.contains("data-state="));
}

#[tokio::test]
async fn pages_that_do_not_exist_are_404() {
    let installation = Installation::located();
    let server = installation.serve();
    for path in ["/nothing", "/hosts/203.0.114.9"] {
        assert_eq!(page(&server, path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_hostile_banner_and_query_stay_text() {
    let installation = Installation::new();
    let scan = r#"[{"ip":"8.8.8.8","timestamp":"1795434001","ports":[{"port":80,"proto":"tcp","service":{"name":"http","banner":"<script>alert(1)</script></textarea>\u2028<!--"}}]}]"#;
    let scan = installation.write("scan.json", scan);
    assert_eq!(installation.run(&["import", &scan]).code, Some(0));
    let server = installation.serve();
    for path in ["/hosts/8.8.8.8", "/hosts?q=%3Cscript%3Ealert(1)%3C/script%3E"] {
        let (_, html) = page(&server, path).await;
        assert!(!html.contains("<script>alert(1)"), "{path}");
    }
}

#[tokio::test]
async fn a_form_without_scripting_comes_back_to_our_own_page() {
    let installation = Installation::located();
    let server = installation.serve_with(&["--no-worker"]);
    let request = client()
        .post(server.url("/api/fn/hosts/geolocate"))
        .header("accept", "text/html")
        .header("origin", server.url(""))
        .header("referer", server.url("/hosts/8.8.8.8"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("ip=8.8.8.8&force=false");
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_redirection(), "{}", answer.status());
    assert!(answer.headers()["location"].to_str().expect("text").starts_with("/jobs/"));
}

#[tokio::test]
async fn a_form_that_fails_comes_back_to_our_own_site_whatever_its_referer_says() {
    let installation = Installation::located();
    let server = installation.serve_with(&["--no-worker"]);
    for referer in [server.url("/hosts/8.8.8.8"), "http://evil.example/hosts/8.8.8.8".to_owned()] {
        let request = client()
            .post(server.url("/api/fn/hosts/geolocate"))
            .header("accept", "text/html")
            .header("origin", server.url(""))
            .header("referer", referer.as_str())
            .header("content-type", "application/x-www-form-urlencoded")
            .body("ip=203.0.114.1&force=false");
        let answer = request.send().await.expect("an answer");
        let target = answer.headers()["location"].to_str().expect("text").to_owned();
        assert!(
            answer.status().is_redirection() && target.starts_with("/hosts/8.8.8.8"),
            "{referer}: {target}"
        );
    }
}

/// The words of a facet's links, with their counts, as the page of a query shows them; and which hosts it says are counted.
async fn facet(server: &crate::support::Server, query: &str, id: &str) -> (String, Vec<String>) {
    let (_, html) = page(server, &format!("/hosts?q={query}")).await;
    let (_, facet) = html.split_once(&format!("id=\"{id}\"")).expect("the facet");
    let (facet, _) = facet.split_once("</section>").expect("its end");
    let (head, links) = facet.split_once("<ul").expect("its list");
    let text = |html: &str| {
        let words = html.split('<').filter_map(|part| part.split_once('>').map(|(_, text)| text.trim()));
        words.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let whose = text(head.split_once("<small").expect("whose").1);
    (whose.clone(), links.split("<li").skip(1).map(|link| text(&format!("<{link}"))).collect())
}

#[tokio::test]
async fn facets_count_what_matches_the_query_and_say_so() {
    let installation = Installation::located();
    let server = installation.serve();
    let all = ["Located 4", "Stale 0", "Pending 0", "Unlocated 1", "Not applicable 1"];
    assert_eq!(
        facet(&server, "", "facet-states").await,
        ("of all hosts".to_owned(), all.map(str::to_owned).into())
    );
    // Of the three hosts with this port one is located, one unlocated and one private.
    let narrowed = ["Located 1", "Unlocated 1", "Not applicable 1"];
    assert_eq!(
        facet(&server, "port:443", "facet-states").await,
        ("of 3 that match".to_owned(), narrowed.map(str::to_owned).into())
    );
    assert_eq!(
        facet(&server, "port:443", "facet-countries").await,
        ("of 3 that match".to_owned(), vec!["United Kingdom 1".to_owned()])
    );
    // A country takes the place of another, so each says how many hosts it would lead to.
    let both = vec!["United Kingdom 3".to_owned(), "United States 1".to_owned()];
    assert_eq!(facet(&server, "country:US", "facet-countries").await, ("of all hosts".to_owned(), both));
    assert_eq!(
        facet(&server, "country:US", "facet-states").await,
        ("of 1 that match".to_owned(), vec!["Located 1".to_owned()])
    );
}
