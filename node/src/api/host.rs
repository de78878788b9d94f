//! Whom a request is for: the `Host` header.
//!
//! A web page may make a visitor's browser believe that the page's own name leads to 127.0.0.1 (DNS rebinding), and then send requests here
//! and read the answers, as if this node were its server. Such a request names the page's host, so only IP addresses, `localhost` and the
//! names of `api.hosts` are answered. A client that is no browser may leave the header out.

use std::net::{IpAddr, Ipv6Addr};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header::HOST, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::{ApiError, quoted};

/// Longest name of a host.
const NAME_BYTES_MAX: usize = 253;
/// In place of names: every name is answered.
const ANY: &str = "*";

/// Checks a name of `api.hosts`.
///
/// # Errors
/// What it must be.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let is_fit = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_');
    if name == ANY || ((1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(is_fit)) {
        return Ok(());
    }
    Err(format!("it must be the name of a host, without a port, such as node.example.org, or {ANY} for any name"))
}

/// Passes on what is for this node, and refuses the rest.
pub(super) async fn check(State(hosts): State<std::sync::Arc<[String]>>, request: Request, next: Next) -> Response {
    let named = request.headers().get_all(HOST).iter().map(|value| value.to_str().ok());
    // A request through a proxy names its host in the first line.
    let named = named.chain(request.uri().authority().map(|authority| Some(authority.as_str())));
    for name in named {
        if !name.is_some_and(|name| is_ours(name, &hosts)) {
            let message = format!("this node is not {}", quoted(name.unwrap_or("?")));
            return ApiError::new(StatusCode::MISDIRECTED_REQUEST, "host", message)
                .with_hint("ask for it by its IP address, or let its operator add the name to api.hosts")
                .into_response();
        }
    }
    next.run(request).await
}

fn is_ours(named: &str, hosts: &[String]) -> bool {
    if hosts.iter().any(|host| host == ANY) {
        return true;
    }
    let Ok(authority) = named.parse::<Authority>() else { return false };
    // Whoever wrote `user@host` is no client of ours.
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host().trim_end_matches('.');
    let is_v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(|host| host.parse::<Ipv6Addr>().is_ok());
    is_v6
        || host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|ours| ours.trim_end_matches('.').eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_configured_names_are_ours_and_nothing_else() {
        let hosts = ["node.example.org".to_owned()];
        for named in ["127.0.0.1", "127.0.0.1:8080", "203.0.113.4:80", "[::1]", "[::1]:8080", "localhost", "LOCALHOST:8080", "localhost."] {
            assert!(is_ours(named, &[]), "{named}");
        }
        for named in ["node.example.org", "Node.Example.Org:8080", "node.example.org."] {
            assert!(is_ours(named, &hosts), "{named}");
            assert!(!is_ours(named, &[]), "{named}");
        }
        for named in
            ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "user@127.0.0.1", "a b", "evil.node.example.org"]
        {
            assert!(!is_ours(named, &hosts), "{named}");
            assert!(is_ours(named, &[ANY.to_owned()]), "{named}");
        }
    }
}
