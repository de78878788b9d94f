//! Checks the `Host` header.
//!
//! A web page can point its own host name at 127.0.0.1 (DNS rebinding), and then send requests here from a visitor's browser and read the
//! answers, as if this node were its server. Such requests carry the page's host name, so only IP addresses, `localhost` and the names in
//! `api.hosts` are accepted. Clients other than browsers may omit the header.

use std::net::{IpAddr, Ipv6Addr};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header::HOST, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::{ApiError, quoted};

/// Longest host name.
const NAME_BYTES_MAX: usize = 253;
/// In place of a name: every name is accepted.
const ANY: &str = "*";

/// Checks a name in `api.hosts`.
///
/// # Errors
/// What the name must be.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let is_fit = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_');
    if name == ANY || ((1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(is_fit)) {
        return Ok(());
    }
    Err(format!("must be a host name without a port, such as node.example.org, or {ANY} for any name"))
}

/// Passes on requests for this node, and refuses all others.
pub(super) async fn check(State(hosts): State<std::sync::Arc<[String]>>, request: Request, next: Next) -> Response {
    let named = request.headers().get_all(HOST).iter().map(|value| value.to_str().ok());
    // A request to a proxy names the host in its first line.
    let named = named.chain(request.uri().authority().map(|authority| Some(authority.as_str())));
    for name in named {
        if !name.is_some_and(|name| is_ours(name, &hosts)) {
            let message = format!("this node is not {}", quoted(name.unwrap_or("?")));
            return ApiError::new(StatusCode::MISDIRECTED_REQUEST, "host", message)
                .with_hint("use its IP address, or ask its operator to add the name to api.hosts")
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
    // No client of ours sends `user@host`.
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
