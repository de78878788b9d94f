//! Ports for validators: free now, and not in the range from which the system takes ports for outgoing connections.
//!
//! A validator that is killed and started again must find its port free. Were the port one of the ephemeral range, any connection that some
//! process opens in between could be using it. So ports are looked for below that range, and each is tried by binding it.

use std::{
    net::{Ipv4Addr, TcpListener},
    ops::RangeInclusive,
};

use quorate_terminal::CommandError;

/// Below the ephemeral ranges of Linux (32768..60999) and macOS (49152..65535), above what services are registered for in practice.
const RANGE: RangeInclusive<u16> = 20_000..=32_000;

/// Finds `count` ports on the loopback interface.
pub(crate) fn find(count: usize) -> Result<Vec<u16>, CommandError> {
    let mut seed = [0; 2];
    getrandom::fill(&mut seed).map_err(|error| CommandError::failure("randomness", format!("the system gives no randomness: {error}")))?;
    // Somewhere else each time, so that two networks that are made at the same moment do not look at the same ports.
    let span = RANGE.end() - RANGE.start();
    let offset = u16::from_le_bytes(seed) % span;
    let candidates = (0..span).map(|index| RANGE.start() + (offset + index) % span);
    // All are held until the last is found: no port is given twice.
    let held: Vec<_> = candidates.filter_map(|port| hold(port).map(|listener| (port, listener))).take(count).collect();
    if held.len() < count {
        return Err(CommandError::failure("ports", format!("{count} free ports are needed, only {} were found", held.len())));
    }
    Ok(held.into_iter().map(|(port, _)| port).collect())
}

/// The `count` ports from `base` on, if they are free.
pub(crate) fn from_base(base: u16, count: usize) -> Result<Vec<u16>, CommandError> {
    let last = u16::try_from(count).ok().and_then(|count| base.checked_add(count - 1));
    let last = last.ok_or_else(|| CommandError::usage(format!("--base-port {base} leaves no room for {count} ports")))?;
    for port in base..=last {
        if hold(port).is_none() {
            return Err(CommandError::failure("ports", format!("port {port} is in use"))
                .with_hint("choose another --base-port, or leave it out and let free ports be found"));
        }
    }
    Ok((base..=last).collect())
}

fn hold(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_different_ports_that_can_be_bound() {
        let ports = find(8).unwrap();
        let listeners: Vec<_> = ports.iter().map(|port| hold(*port)).collect();
        assert!(listeners.iter().all(Option::is_some), "{ports:?}");
    }

    #[test]
    fn a_port_in_use_is_named() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = from_base(port, 1).unwrap_err();
        assert!(error.message.contains(&port.to_string()), "{error}");
        assert_eq!(from_base(65_535, 2).unwrap_err().exit.code(), 2);
    }
}
