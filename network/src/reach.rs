//! Whether a peer's address answers, for people who look for a fault: a connection is opened and closed, and nothing is said over it.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use libp2p::Multiaddr;
use tokio::{net::TcpStream, time::timeout};

use crate::{
    config::{NetworkError, peer_address, socket_address},
    lookup::Name,
};

/// An address that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Time that the look-up of its name took; `None` if it has an IP address.
    pub looked_up: Option<Duration>,
    /// Time until the connection was open, the look-up not included.
    pub connected: Duration,
}

/// Why an address does not answer.
#[derive(Debug, thiserror::Error)]
pub enum Unreached {
    /// It is no address of a peer.
    #[error(transparent)]
    Address(#[from] NetworkError),
    /// Its name has no address.
    #[error("its name cannot be resolved: {0}")]
    Name(io::Error),
    /// No connection can be opened.
    #[error("no connection can be opened: {0}")]
    Connect(io::Error),
}

/// Opens a TCP connection to the address of a peer and closes it again. The look-up of its name and the connecting take at most `patience` each.
///
/// # Errors
/// [`Unreached`].
pub async fn reach(address: &str, resolver: Option<SocketAddr>, patience: Duration) -> Result<Reached, Unreached> {
    let address = peer_address(address)?;
    let (addresses, looked_up) = match Name::of(&address) {
        Some(name) => {
            let start = Instant::now();
            let found = timeout(patience, name.look_up(resolver)).await.unwrap_or_else(|_| Err(late(patience)));
            (found.map_err(Unreached::Name)?, Some(start.elapsed()))
        }
        None => (vec![address], None),
    };
    let start = Instant::now();
    timeout(patience, connect(&addresses)).await.unwrap_or_else(|_| Err(late(patience))).map_err(Unreached::Connect)?;
    Ok(Reached { looked_up, connected: start.elapsed() })
}

/// Connects to the first address that answers.
async fn connect(addresses: &[Multiaddr]) -> io::Result<()> {
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for address in addresses.iter().filter_map(socket_address) {
        match TcpStream::connect(address).await {
            Ok(_stream) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn late(patience: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} ms", patience.as_millis()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn who_listens_is_reached_by_address_and_by_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let reached = reach(&format!("/ip4/127.0.0.1/tcp/{port}"), None, PATIENCE).await.unwrap();
        assert_eq!(reached.looked_up, None);
        let reached = reach(&format!("/dns4/localhost/tcp/{port}"), None, PATIENCE).await.unwrap();
        assert!(reached.looked_up.is_some());
    }

    #[tokio::test]
    async fn who_does_not_is_an_error_that_says_what_failed() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let refused = reach(&format!("/ip4/127.0.0.1/tcp/{free}"), None, PATIENCE).await;
        assert!(matches!(refused, Err(Unreached::Connect(_))), "{refused:?}");
        // A name that is reserved for not existing.
        let unknown = reach("/dns4/nobody.invalid/tcp/1", None, PATIENCE).await;
        assert!(matches!(unknown, Err(Unreached::Name(_))), "{unknown:?}");
        assert!(matches!(reach("127.0.0.1:1", None, PATIENCE).await, Err(Unreached::Address(_))));
    }
}
