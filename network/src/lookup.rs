//! Host names of peers. They are looked up before each attempt, so that their addresses may change: by the operating system, or by the name server
//! that the operator has named.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use libp2p::{Multiaddr, multiaddr::Protocol};

use crate::resolver::{self, ADDRESSES_MAX, Record};

/// The address family of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    Any,
}

/// The host name and port in a peer's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    host: String,
    port: u16,
    family: Family,
}

impl Name {
    /// The name in `address`; `None` if it has an IP address instead.
    pub(crate) fn of(address: &Multiaddr) -> Option<Name> {
        let mut parts = address.iter();
        let (host, family) = match parts.next()? {
            Protocol::Dns4(host) => (host, Family::V4),
            Protocol::Dns6(host) => (host, Family::V6),
            Protocol::Dns(host) => (host, Family::Any),
            _ => return None,
        };
        let Some(Protocol::Tcp(port)) = parts.next() else { return None };
        Some(Name { host: host.into_owned(), port, family })
    }

    /// Asks the name server at this address, or else the system.
    pub(crate) async fn look_up(self, server: Option<SocketAddr>) -> io::Result<Vec<Multiaddr>> {
        let found = match server {
            Some(server) => self.ask(server).await?,
            // There is no timeout but the system's own: after an earlier one we would ask again, and threads waiting for answers would pile up.
            None => tokio::net::lookup_host((self.host.as_str(), self.port)).await?.map(|address| address.ip()).collect(),
        };
        let addresses: Vec<Multiaddr> = found.into_iter().filter(|ip| self.fits(*ip)).take(ADDRESSES_MAX).map(|ip| self.at(ip)).collect();
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address of this family"));
        }
        Ok(addresses)
    }

    async fn ask(&self, server: SocketAddr) -> io::Result<Vec<IpAddr>> {
        let ask = |record| resolver::ask(server, &self.host, record);
        match self.family {
            Family::V4 => ask(Record::A).await,
            Family::V6 => ask(Record::Aaaa).await,
            Family::Any => match futures::join!(ask(Record::Aaaa), ask(Record::A)) {
                (Ok(some), Ok(others)) => Ok([some, others].concat()),
                (Ok(some), Err(_)) | (Err(_), Ok(some)) if !some.is_empty() => Ok(some),
                (Err(error), _) | (_, Err(error)) => Err(error),
            },
        }
    }

    fn fits(&self, ip: IpAddr) -> bool {
        match self.family {
            Family::V4 => ip.is_ipv4(),
            Family::V6 => ip.is_ipv6(),
            Family::Any => true,
        }
    }

    fn at(&self, ip: IpAddr) -> Multiaddr {
        Multiaddr::from(ip).with(Protocol::Tcp(self.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(address: &str) -> Option<Name> {
        Name::of(&address.parse().unwrap())
    }

    #[test]
    fn an_ip_address_is_no_name_and_a_name_keeps_its_port_and_family() {
        assert_eq!(name("/ip4/127.0.0.1/tcp/1"), None);
        let v4 = name("/dns4/localhost/tcp/7").unwrap();
        assert!(v4.fits([127, 0, 0, 1].into()) && !v4.fits("::1".parse().unwrap()));
        assert!(name("/dns6/localhost/tcp/7").unwrap().fits("::1".parse().unwrap()));
        assert_eq!(v4.at([127, 0, 0, 1].into()).to_string(), "/ip4/127.0.0.1/tcp/7");
    }

    #[tokio::test]
    async fn a_name_is_found_only_in_its_family() {
        let found = name("/dns4/localhost/tcp/7").unwrap().look_up(None).await.unwrap();
        assert_eq!(found, ["/ip4/127.0.0.1/tcp/7".parse().unwrap()]);
        // A literal address needs no look-up, and this one is of the other family.
        assert!(name("/dns6/127.0.0.1/tcp/7").unwrap().look_up(None).await.is_err());
    }
}
