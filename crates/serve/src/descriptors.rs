//! File descriptors: every connection takes one, and so do the connections to databases, key
//! services and other logs without which a service cannot do its job.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// One listener's share of the descriptors: a process may have half a dozen listeners, and what is
/// left is for its own work.
const SHARE: u64 = 8;

/// Raises the number of descriptors to what the system allows, since many systems start programs
/// with 1024; says how many there are, or nothing if there is no limit.
fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::debug!(%error, "the limit on open files stays as it is");
            limit.current
        }
    }
}

/// How many connections a listener may have if `wanted` is the most that it should.
///
/// Without this, clients that connect and say nothing would leave no descriptor for anything else,
/// in this service and in all others of the process.
pub(crate) fn connections(wanted: usize) -> usize {
    share(raise(), wanted)
}

fn share(descriptors: Option<u64>, wanted: usize) -> usize {
    match descriptors {
        Some(descriptors) => {
            let share = usize::try_from((descriptors / SHARE).max(1)).unwrap_or(usize::MAX);
            wanted.min(share)
        }
        None => wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_leaves_most_descriptors_to_others() {
        assert_eq!(share(Some(1024), 8192), 128);
        assert_eq!(share(Some(1 << 20), 8192), 8192);
        assert_eq!(share(Some(4), 8192), 1);
        assert_eq!(share(None, 8192), 8192);
    }

    #[test]
    fn the_process_gets_as_many_descriptors_as_the_system_allows() {
        let before = getrlimit(Resource::Nofile);
        let lower = before.maximum.map_or(512, |maximum| maximum.min(512));
        let low = Rlimit {
            current: Some(lower),
            ..before
        };
        setrlimit(Resource::Nofile, low).unwrap();
        assert_eq!(raise(), before.maximum);
        assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
    }
}
