//! Asking an NTP server for the time: the client of SNTP (RFC 5905 section 14).

use std::time::Duration;

use clock::Clock;
use tokio::net::UdpSocket;

/// Longest wait for an answer, name resolution included.
const TIME: Duration = Duration::from_secs(5);

/// Octets of a packet without extensions.
const PACKET: usize = 48;

/// Seconds from 1900, where NTP starts to count, to 1970.
const UNIX_EPOCH: u64 = 2_208_988_800;

/// Why a server's time is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{server}: {source}")]
    Io {
        server: String,
        source: std::io::Error,
    },
    #[error("{0}: no answer in time")]
    Late(String),
    #[error("{server}: {reason}")]
    Answer {
        server: String,
        reason: &'static str,
    },
}

/// A time: 32 bits of seconds, which wrap every 136 years, and 32 bits of their fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timestamp(u64);

impl Timestamp {
    pub(super) const fn from_unix_ms(ms: u64) -> Self {
        let seconds = (ms / 1000).wrapping_add(UNIX_EPOCH);
        Self((seconds << 32) | (((ms % 1000) << 32) / 1000))
    }

    #[cfg(test)]
    pub(super) const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// `self - other` in milliseconds: the difference that is less than 68 years.
    const fn since_ms(self, other: Self) -> i64 {
        let difference = self.0.wrapping_sub(other.0).cast_signed();
        // 2^-32 s to ms, in two steps so as not to overflow.
        ((difference >> 16) * 1000) >> 16
    }
}

/// How far `server`'s clock is ahead of `clock`, in milliseconds.
pub(super) async fn offset_ms(server: &str, clock: &dyn Clock) -> Result<i64, Error> {
    match tokio::time::timeout(TIME, ask(server, clock)).await {
        Ok(answered) => answered,
        Err(_) => Err(Error::Late(server.to_owned())),
    }
}

async fn ask(server: &str, clock: &dyn Clock) -> Result<i64, Error> {
    let io = |source| Error::Io {
        server: server.to_owned(),
        source,
    };
    let answer_error = |reason| Error::Answer {
        server: server.to_owned(),
        reason,
    };
    let address = if has_port(server) {
        server.to_owned()
    } else {
        format!("{server}:123")
    };
    let address = tokio::net::lookup_host(address)
        .await
        .map_err(io)?
        .next()
        .ok_or_else(|| answer_error("the name has no address"))?;
    let local = if address.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(local).await.map_err(io)?;
    // Answers from elsewhere are dropped by the system from here on.
    socket.connect(address).await.map_err(io)?;

    // Instead of our time a random number goes out, which the answer must repeat: nobody who has not
    // seen the query can answer it.
    let mut cookie = [0; 8];
    aws_lc_rs::rand::fill(&mut cookie).map_err(|_| answer_error("no randomness for the query"))?;
    let mut query = [0; PACKET];
    let [first, .., a, b, c, d, e, f, g, h] = &mut query;
    // Version 4, mode 3 (client).
    *first = 0x23;
    [*a, *b, *c, *d, *e, *f, *g, *h] = cookie;
    let sent_at = Timestamp::from_unix_ms(clock.now_ms());
    socket.send(&query).await.map_err(io)?;
    let mut answer = [0; PACKET];
    let length = socket.recv(&mut answer).await.map_err(io)?;
    let received_at = Timestamp::from_unix_ms(clock.now_ms());
    if length < PACKET {
        return Err(answer_error("the answer is too short"));
    }
    let answer = Answer::parse(&answer);
    answer.check(cookie).map_err(answer_error)?;
    Ok((answer.received.since_ms(sent_at) + answer.sent.since_ms(received_at)) / 2)
}

/// Whether `HOST:PORT` rather than `HOST` (which may be an IPv6 address in brackets).
fn has_port(server: &str) -> bool {
    server
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The fields of an answer that matter here.
struct Answer {
    leap_version_mode: u8,
    stratum: u8,
    origin: [u8; 8],
    received: Timestamp,
    sent: Timestamp,
}

impl Answer {
    fn parse(packet: &[u8; PACKET]) -> Self {
        let octets = |start: usize| {
            let mut out = [0; 8];
            for (to, from) in out.iter_mut().zip(packet.iter().skip(start)) {
                *to = *from;
            }
            out
        };
        let [leap_version_mode, stratum, ..] = *packet;
        Self {
            leap_version_mode,
            stratum,
            origin: octets(24),
            received: Timestamp(u64::from_be_bytes(octets(32))),
            sent: Timestamp(u64::from_be_bytes(octets(40))),
        }
    }

    fn check(&self, cookie: [u8; 8]) -> Result<(), &'static str> {
        if self.leap_version_mode & 0x07 != 4 {
            return Err("the answer is not a server's");
        }
        if self.origin != cookie {
            return Err("the answer belongs to another query");
        }
        if self.leap_version_mode >> 6 == 3 || !(1..=15).contains(&self.stratum) {
            return Err("the server is not synchronised itself");
        }
        if self.sent == Timestamp(0) {
            return Err("the answer holds no time");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_right_across_the_wrap_of_2036() {
        const WRAP_MS: u64 = ((1 << 32) - UNIX_EPOCH) * 1000;
        for (earlier, later) in [
            (0, 1),
            (1_800_000_000_000, 1_800_000_001_500),
            (WRAP_MS - 700, WRAP_MS + 700),
        ] {
            let (a, b) = (
                Timestamp::from_unix_ms(earlier),
                Timestamp::from_unix_ms(later),
            );
            let difference = i64::try_from(later - earlier).unwrap();
            assert!((b.since_ms(a) - difference).abs() <= 1, "{earlier} {later}");
            assert!((a.since_ms(b) + difference).abs() <= 1, "{earlier} {later}");
        }
    }

    #[test]
    fn answers_that_are_forged_or_useless_are_refused() {
        let good = || Answer {
            leap_version_mode: 0x24,
            stratum: 2,
            origin: [1; 8],
            received: Timestamp(5),
            sent: Timestamp(6),
        };
        assert!(good().check([1; 8]).is_ok());
        assert!(good().check([2; 8]).is_err());
        for bad in [
            Answer {
                leap_version_mode: 0x23,
                ..good()
            },
            Answer {
                leap_version_mode: 0xe4,
                ..good()
            },
            Answer {
                stratum: 0,
                ..good()
            },
            Answer {
                stratum: 16,
                ..good()
            },
            Answer {
                sent: Timestamp(0),
                ..good()
            },
        ] {
            assert!(bad.check([1; 8]).is_err());
        }
    }

    #[test]
    fn ports_are_told_from_hosts() {
        for (server, expected) in [
            ("ntp.example", false),
            ("ntp.example:124", true),
            ("[::1]", false),
            ("[::1]:123", true),
            ("10.0.0.1", false),
        ] {
            assert_eq!(has_port(server), expected, "{server}");
        }
    }
}
