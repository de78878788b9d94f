//! The network address of a validator: a multiaddress of a host and a TCP port.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether a validator can be reached at such an address: `/ip4|ip6/HOST/tcp/PORT`. Names are left out: whoever answers for a name would decide
/// whom a validator dials.
///
/// # Errors
/// What is wrong with it.
pub fn check(address: &str) -> Result<(), &'static str> {
    let mut parts = address.strip_prefix('/').ok_or("it does not begin with /")?.split('/');
    let (kind, host) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match kind {
        "ip4" => host.parse::<Ipv4Addr>().map(|_| ()).map_err(|_| "its host is no IPv4 address")?,
        "ip6" => host.parse::<Ipv6Addr>().map(|_| ()).map_err(|_| "its host is no IPv6 address")?,
        "dns" | "dns4" | "dns6" => return Err("names are not supported, only addresses"),
        _ => return Err("it names no host"),
    }
    if parts.next() != Some("tcp") {
        return Err("only tcp is possible");
    }
    // A port with a sign or leading zeros is another text for the same place.
    let port = parts.next().unwrap_or_default();
    if !port.parse::<u16>().is_ok_and(|number| number != 0 && number.to_string() == port) {
        return Err("its port is not in 1..=65535");
    }
    if parts.next().is_some() { Err("there is something behind the port") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_hosts_with_tcp_ports_and_nothing_else() {
        for address in ["/ip4/10.0.0.1/tcp/6180", "/ip6/::1/tcp/1"] {
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
            "/dns4/node.example.org/tcp/6180",
            "/unix/x/tcp/1",
        ] {
            assert!(check(address).is_err(), "{address}");
        }
    }
}
