//! The block explorer: a page that asks the API of this node, and checks the proofs in the browser. Beside it, at `/v1/docs`, a page that
//! shows the description of the API.
//!
//! Their files stand in `node/explorer` as they are served; nothing builds them. The browser lets the pages load and ask nothing but this node.

use std::sync::Arc;

use axum::{
    Router,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;

use super::{Api, seats::Shared};

/// A file of the pages.
#[derive(Clone, Copy)]
struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: [File; 12] = [
    File { path: "/", content_type: HTML, text: include_str!("../../explorer/index.html") },
    File { path: "/explorer.css", content_type: CSS, text: include_str!("../../explorer/explorer.css") },
    File { path: "/explorer.js", content_type: SCRIPT, text: include_str!("../../explorer/explorer.js") },
    File { path: "/node.js", content_type: SCRIPT, text: include_str!("../../explorer/node.js") },
    File { path: "/drawings.js", content_type: SCRIPT, text: include_str!("../../explorer/drawings.js") },
    File { path: "/dom.js", content_type: SCRIPT, text: include_str!("../../explorer/dom.js") },
    File { path: "/proof.js", content_type: SCRIPT, text: include_str!("../../explorer/proof.js") },
    File { path: "/formats.js", content_type: SCRIPT, text: include_str!("../../explorer/formats.js") },
    File { path: "/bytes.js", content_type: SCRIPT, text: include_str!("../../explorer/bytes.js") },
    File { path: "/v1/docs", content_type: HTML, text: include_str!("../../explorer/docs.html") },
    File { path: "/docs.css", content_type: CSS, text: include_str!("../../explorer/docs.css") },
    File { path: "/docs.js", content_type: SCRIPT, text: include_str!("../../explorer/docs.js") },
];

/// Nothing from elsewhere, nothing inline, and no page of others may frame these.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether a path is one of the pages' files.
pub(super) fn has(path: &str) -> bool {
    FILES.iter().any(|file| file.path == path)
}

/// Adds the pages to the routes.
pub(super) fn add(router: Router<Arc<Api>>) -> Router<Arc<Api>> {
    FILES.into_iter().fold(router, |router, file| router.route(file.path, get(move || async move { file.response() })))
}

impl File {
    fn response(&self) -> Response {
        // After an upgrade of the node, the browser must not mix files of two releases.
        let headers = [
            (CONTENT_TYPE, self.content_type),
            (CACHE_CONTROL, "no-cache"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (REFERRER_POLICY, "no-referrer"),
        ];
        let mut response = (headers, Bytes::from_static(self.text.as_bytes())).into_response();
        response.extensions_mut().insert(Shared);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a file names as the source of something, between `before` and the next quotation mark.
    fn named<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(before).skip(1).map(|rest| &rest[..rest.find('"').unwrap()])
    }

    #[test]
    fn the_pages_name_only_files_that_are_served_and_every_one_of_them() {
        let mut reached = vec!["/".to_owned(), "/v1/docs".to_owned()];
        for file in &FILES {
            let from = |before| named(file.text, before).filter(|name| !name.starts_with(['#', '$'])).map(str::to_owned);
            let loaded = [" from \"./", "<script type=\"module\" src=\"", "<link rel=\"stylesheet\" href=\""].into_iter().flat_map(from);
            // Names are relative, since a proxy may serve the pages below a path of its own.
            let up = if file.path == "/v1/docs" { "../" } else { "" };
            reached.extend(loaded.map(|name| format!("/{}", name.strip_prefix(up).unwrap())));
            // Nothing that the browser would refuse to load.
            for foreign in ["src=\"http", "url(", "@import", "<style", " style=\"", "import(", "innerHTML", "eval("] {
                assert!(!file.text.contains(foreign), "{}: {foreign}", file.path);
            }
        }
        assert!(reached.iter().all(|path| has(path)), "{reached:?}");
        assert!(FILES.iter().all(|file| reached.iter().any(|path| path == file.path)), "{reached:?}");
    }
}
