//! The network address of a validator: a multiaddress of a host and a TCP port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest host name (RFC 1035).
const NAME_BYTES_MAX: usize = 253;
/// Longest part of a host name between dots (RFC 1035).
const LABEL_BYTES_MAX: usize = 63;

/// Checks that an address could be dialed: `/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT`. DNS need not be trusted: the machine that answers must
/// prove that it holds the validator's network key.
///
/// # Errors
/// What is wrong with the address.
pub fn check(address: &str) -> Result<(), &'static str> {
    let mut parts = address.strip_prefix('/').ok_or("it does not start with /")?.split('/');
    let (kind, host) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match kind {
        "ip4" => check_ip(host.parse::<Ipv4Addr>().map_err(|_| "its host is not an IPv4 address")?.into())?,
        "ip6" => check_ip(host.parse::<Ipv6Addr>().map_err(|_| "its host is not an IPv6 address")?.into())?,
        "dns" | "dns4" | "dns6" => check_name(host)?,
        _ => return Err("it does not start with /ip4, /ip6, /dns, /dns4 or /dns6"),
    }
    if parts.next() != Some("tcp") {
        return Err("its transport is not tcp");
    }
    // A sign or leading zeros would be a second spelling of the same address.
    let port = parts.next().unwrap_or_default();
    if !port.parse::<u16>().is_ok_and(|number| number != 0 && number.to_string() == port) {
        return Err("its port is not in 1..=65535");
    }
    if parts.next().is_some() { Err("something follows the port") } else { Ok(()) }
}

/// Whether an address that passes [`check`] is a loopback address, which only validators on the same machine can reach.
#[must_use]
pub fn is_loopback(address: &str) -> bool {
    let host = address.split('/').nth(2).unwrap_or_default();
    match host.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
    }
}

/// Refuses addresses that cannot be dialed: unspecified, multicast, broadcast, and link-local ones, which need an interface.
fn check_ip(ip: IpAddr) -> Result<(), &'static str> {
    match ip.to_canonical() {
        ip if ip.is_unspecified() => Err("its host is the unspecified address, which cannot be dialed"),
        ip if ip.is_multicast() => Err("its host is a multicast address"),
        IpAddr::V4(ip) if ip.is_broadcast() || ip.octets().first() == Some(&0) => Err("its host is not the address of a machine"),
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Err("its host is a link-local address, which needs an interface"),
        _ => Ok(()),
    }
}

/// Letters, digits and hyphens between dots. The last label must not be all digits, or the name could be an IPv4 address.
fn check_name(name: &str) -> Result<(), &'static str> {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_name = name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label);
    if !is_name || name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err("its host is not a valid host name");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_hosts_with_tcp_ports_and_nothing_else() {
        let names = ["/dns4/node.example.org/tcp/6180", "/dns6/a-1/tcp/6180", "/dns/b/tcp/1", "/dns4/3.example/tcp/1"];
        for address in ["/ip4/10.0.0.1/tcp/6180", "/ip6/::1/tcp/1", "/ip6/2001:db8::1/tcp/6180"].into_iter().chain(names) {
            assert_eq!(check(address), Ok(()), "{address}");
        }
        for address in [
            "",
            "/",
            "10.0.0.1:6180",
            "/ip4/10.0.0/tcp/6180",
            "/ip4/10.0.0.1",
            "/ip4/10.0.0.1/udp/6180",
            "/ip4/10.0.0.1/tcp/0",
            "/ip4/10.0.0.1/tcp/+1",
            "/ip4/10.0.0.1/tcp/01",
            "/ip4/10.0.0.1/tcp/65536",
            "/ip4/10.0.0.1/tcp/6180/",
            "/ip4/10.0.0.1/tcp/6180/p2p/x",
            "/ip6/10.0.0.1/tcp/6180",
            "/dnsaddr/node.example.org/tcp/6180",
            "/dns4/node.example.org",
            "/dns4/10.0.0.1/tcp/6180",
            "/dns4/a..b/tcp/6180",
            "/dns4/a_b/tcp/6180",
            "/dns4/-a/tcp/6180",
            "/dns4/a./tcp/6180",
            "/dns4//tcp/6180",
            "/unix/x/tcp/1",
        ] {
            assert!(check(address).is_err(), "{address}");
        }
        assert!(check(&format!("/dns4/{}/tcp/1", "a".repeat(64))).is_err());
        assert!(check(&format!("/dns4/{}a/tcp/1", "a.".repeat(127))).is_err());
    }

    #[test]
    fn an_address_that_nobody_can_dial_is_refused() {
        let addresses = [
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.255.255.250",
            "255.255.255.255",
            "::",
            "ff02::1",
            "fe80::1",
            "::ffff:0.0.0.0",
            "::ffff:224.0.0.1",
        ];
        for address in addresses {
            let kind = if address.contains(':') { "ip6" } else { "ip4" };
            assert!(check(&format!("/{kind}/{address}/tcp/6180")).is_err(), "{address}");
        }
    }

    #[test]
    fn an_address_of_the_same_machine_is_known() {
        for address in [
            "/ip4/127.0.0.1/tcp/1",
            "/ip4/127.9.9.9/tcp/1",
            "/ip6/::1/tcp/1",
            "/ip6/::ffff:127.0.0.1/tcp/1",
            "/dns4/LocalHost/tcp/1",
            "/dns6/a.localhost/tcp/1",
        ] {
            assert_eq!((check(address), is_loopback(address)), (Ok(()), true), "{address}");
        }
        for address in ["/ip4/10.0.0.1/tcp/1", "/ip6/2001:db8::1/tcp/1", "/dns4/localhost.example/tcp/1"] {
            assert!(!is_loopback(address), "{address}");
        }
    }
}
