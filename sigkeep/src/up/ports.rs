//! The ports that services listen on.
//!
//! Listeners are bound before any service starts: the URLs go into keys' trust material, so they
//! must be known, and a port that is taken must stop the start before anything is created. Ports
//! are chosen once for a data directory, because clients hold its URLs in their trust roots.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use url::Url;

/// A service with a port of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The certificate authority.
    Fulcio,
    /// The logs: Rekor and CT.
    Rekor,
    /// The timestamp authority.
    Tsa,
    /// The development issuer.
    Oidc,
    /// The trust root.
    Tuf,
}

/// The port of each service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    fulcio: u16,
    rekor: u16,
    tsa: u16,
    oidc: u16,
    tuf: u16,
}

/// Which loopback addresses to listen on. Everything here trusts whoever reaches it, so there is
/// no way to name another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Loopback {
    /// 127.0.0.1, and ::1 where the machine has it: whichever way `localhost` resolves, it is us.
    #[default]
    Both,
    /// One of the two.
    Only(IpAddr),
}

/// An address other than the two was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`up` does not listen on {0}, only on the loopback addresses 127.0.0.1 and ::1: its development identity \
     provider signs in whoever reaches it. For a network, run the services with an identity provider of yours"
)]
pub struct OffLoopback(IpAddr);

/// Why a port could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Somebody else listens there.
    #[error(
        "port {port} (for {service}) is taken on {address}: stop what listens there{hint}",
        hint = if *.chosen { ", this data directory is bound to the port" } else { ", or start with --free-ports" }
    )]
    Taken {
        /// Which service wanted it.
        service: &'static str,
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
        /// Whether trust material already names it.
        chosen: bool,
    },
    /// The operating system refused otherwise.
    #[error("cannot listen on {address} for {service}: {source}")]
    Io {
        /// Which service wanted it.
        service: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// No free port was found.
    #[error("no free port was found for {service} in {tries} tries")]
    NoneFree {
        /// Which service wanted it.
        service: &'static str,
        /// How often it was tried.
        tries: u32,
    },
}

/// The bound sockets of one service: one, or one per address family, on the same port.
#[derive(Debug)]
pub struct Listeners {
    port: u16,
    /// Never empty.
    pub sockets: Vec<TcpListener>,
}

impl Endpoint {
    /// All services, in the order in which they start.
    pub const ALL: [Self; 5] = [Self::Oidc, Self::Rekor, Self::Fulcio, Self::Tsa, Self::Tuf];

    /// Name in logs and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fulcio => "fulcio",
            Self::Rekor => "rekor",
            Self::Tsa => "timestamp",
            Self::Oidc => "oidc",
            Self::Tuf => "tuf",
        }
    }
}

impl Ports {
    /// The ports that people expect.
    pub const DEFAULT: Self = Self {
        fulcio: 5555,
        rekor: 3000,
        tsa: 3004,
        oidc: 8080,
        tuf: 8085,
    };

    /// The port of a service.
    #[must_use]
    pub const fn of(&self, endpoint: Endpoint) -> u16 {
        match endpoint {
            Endpoint::Fulcio => self.fulcio,
            Endpoint::Rekor => self.rekor,
            Endpoint::Tsa => self.tsa,
            Endpoint::Oidc => self.oidc,
            Endpoint::Tuf => self.tuf,
        }
    }

    /// The base URL of a service, without trailing slash.
    #[must_use]
    pub fn base(&self, endpoint: Endpoint) -> String {
        format!("http://localhost:{}", self.of(endpoint))
    }

    /// [`Self::base`], parsed.
    pub fn url(&self, endpoint: Endpoint) -> Result<Url, url::ParseError> {
        Url::parse(&self.base(endpoint))
    }
}

impl Loopback {
    /// Parses `--bind`.
    pub fn only(address: IpAddr) -> Result<Self, OffLoopback> {
        if address == Ipv4Addr::LOCALHOST || address == Ipv6Addr::LOCALHOST {
            Ok(Self::Only(address))
        } else {
            Err(OffLoopback(address))
        }
    }

    fn addresses(self) -> Vec<IpAddr> {
        match self {
            Self::Both => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            Self::Only(address) => vec![address],
        }
    }
}

/// The listeners of all services.
#[derive(Debug)]
pub struct Bound {
    /// Their ports.
    pub ports: Ports,
    listeners: Vec<(Endpoint, Listeners)>,
}

impl Bound {
    /// Binds these ports. `chosen`: an earlier start chose them.
    pub async fn at(ports: Ports, loopback: Loopback, chosen: bool) -> Result<Self, PortError> {
        let mut listeners = Vec::new();
        for endpoint in Endpoint::ALL {
            let port = ports.of(endpoint);
            let bound = Listeners::bind(port, loopback)
                .await
                .map_err(|(address, source)| {
                    let service = endpoint.name();
                    if source.kind() == io::ErrorKind::AddrInUse {
                        PortError::Taken {
                            service,
                            address,
                            port,
                            chosen,
                        }
                    } else {
                        PortError::Io {
                            service,
                            address: SocketAddr::new(address, port),
                            source,
                        }
                    }
                })?;
            listeners.push((endpoint, bound));
        }
        Ok(Self { ports, listeners })
    }

    /// Binds ports that nobody uses.
    pub async fn free(loopback: Loopback) -> Result<Self, PortError> {
        let mut ports = Ports::DEFAULT;
        let mut listeners = Vec::new();
        for endpoint in Endpoint::ALL {
            let bound = Listeners::free(endpoint, loopback).await?;
            let port = match endpoint {
                Endpoint::Fulcio => &mut ports.fulcio,
                Endpoint::Rekor => &mut ports.rekor,
                Endpoint::Tsa => &mut ports.tsa,
                Endpoint::Oidc => &mut ports.oidc,
                Endpoint::Tuf => &mut ports.tuf,
            };
            *port = bound.port;
            listeners.push((endpoint, bound));
        }
        Ok(Self { ports, listeners })
    }

    /// Hands over a service's sockets; empty the second time.
    pub fn take(&mut self, endpoint: Endpoint) -> Vec<TcpListener> {
        let position = self.listeners.iter().position(|(of, _)| *of == endpoint);
        position
            .map(|position| self.listeners.swap_remove(position).1.sockets)
            .unwrap_or_default()
    }
}

/// Free ports are looked for below the range from which operating systems take the local ports of
/// outgoing connections (Linux: 32768 up, IANA: 49152 up). A port from that range could be in such
/// use at the next start.
const FREE: std::ops::Range<u16> = 10_240..32_768;

/// Ports to try before giving up.
const TRIES: u32 = 200;

impl Listeners {
    async fn bind(port: u16, loopback: Loopback) -> Result<Self, (IpAddr, io::Error)> {
        let mut sockets = Vec::new();
        for address in loopback.addresses() {
            match TcpListener::bind(SocketAddr::new(address, port)).await {
                Ok(socket) => sockets.push(socket),
                // The machine has no IPv6; then `localhost` does not resolve to it either. A port
                // that is *taken* on ::1 is an error: clients would talk to somebody else.
                Err(error)
                    if loopback == Loopback::Both
                        && address.is_ipv6()
                        && is_unsupported(&error) => {}
                Err(error) => return Err((address, error)),
            }
        }
        Ok(Self { port, sockets })
    }

    async fn free(endpoint: Endpoint, loopback: Loopback) -> Result<Self, PortError> {
        let service = endpoint.name();
        for _ in 0..TRIES {
            let mut random = [0; 2];
            if aws_lc_rs::rand::fill(&mut random).is_err() {
                break;
            }
            let port = FREE.start + u16::from_le_bytes(random) % (FREE.end - FREE.start);
            match Self::bind(port, loopback).await {
                Ok(bound) => return Ok(bound),
                Err((_, error)) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err((address, source)) => {
                    return Err(PortError::Io {
                        service,
                        address: SocketAddr::new(address, port),
                        source,
                    });
                }
            }
        }
        Err(PortError::NoneFree {
            service,
            tries: TRIES,
        })
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind of its own that is stable.
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_can_be_named() {
        for good in ["127.0.0.1", "::1"] {
            assert!(Loopback::only(good.parse().unwrap()).is_ok());
        }
        for bad in ["0.0.0.0", "::", "10.0.0.1", "127.0.0.2", "2001:db8::1"] {
            assert!(Loopback::only(bad.parse().unwrap()).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_a_way_out() {
        let first = Bound::free(Loopback::Only(Ipv4Addr::LOCALHOST.into()))
            .await
            .unwrap();
        let again = Bound::at(
            first.ports,
            Loopback::Only(Ipv4Addr::LOCALHOST.into()),
            false,
        )
        .await
        .unwrap_err();
        assert!(again.to_string().contains("--free-ports"), "{again}");
        let again = Bound::at(
            first.ports,
            Loopback::Only(Ipv4Addr::LOCALHOST.into()),
            true,
        )
        .await
        .unwrap_err();
        assert!(!again.to_string().contains("--free-ports"), "{again}");
        let ports = first.ports;
        drop(first);
        Bound::at(ports, Loopback::Only(Ipv4Addr::LOCALHOST.into()), true)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn free_ports_differ_and_are_outside_the_ephemeral_range() {
        let bound = Bound::free(Loopback::Both).await.unwrap();
        let mut ports: Vec<u16> = Endpoint::ALL
            .iter()
            .map(|endpoint| bound.ports.of(*endpoint))
            .collect();
        assert!(ports.iter().all(|port| FREE.contains(port)));
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), Endpoint::ALL.len());
    }
}
