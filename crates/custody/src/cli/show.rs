//! What the commands print.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line's own output"
)]

use crate::{Error, Made, Standing, Status};

pub(super) fn error(error: &Error) {
    eprintln!("error: {error}");
}

pub(super) fn line(text: &str) {
    println!("{text}");
}

pub(super) fn text(text: &str) {
    print!("{text}");
}

pub(super) fn made(made: &Made, json: bool) {
    if json {
        return text(&crate::directory::json(made));
    }
    println!("generation {}", made.generation);
    println!("  key:               {}", made.key);
    let path = |name: &str, path: &Option<std::path::PathBuf>| {
        if let Some(path) = path {
            println!("  {name:<18} {}", path.display());
        }
    };
    path("request:", &made.request);
    path("chain:", &made.chain);
    path("trust-root entry:", &made.trust_root_entry);
    if let Some(fingerprint) = &made.certificate_sha256 {
        println!("  certificate:       SHA-256 {fingerprint}");
    }
    if let Some(fingerprint) = &made.root_sha256 {
        println!("  root:              SHA-256 {fingerprint}");
    }
    println!(
        "{}",
        match (made.active, &made.request) {
            (true, _) => "It signs from now on.",
            (false, Some(_)) => "Have the root sign the request, then `import` the chain.",
            (false, None) =>
                "It signs nothing yet: publish the entry in the trust root, then `activate` it.",
        }
    );
}

pub(super) fn status(status: &Status, json: bool) {
    if json {
        return text(&crate::directory::json(status));
    }
    println!("{}, {}", status.organization, status.url);
    match &status.active {
        Some(active) => standing("active", active),
        None => println!("active: none"),
    }
    match &status.next {
        Some(next) => standing("next", next),
        None => println!("next: none"),
    }
    for due in &status.due {
        println!("DUE: {due}");
    }
    if status.due.is_empty() {
        println!("nothing is due");
    }
}

fn standing(what: &str, standing: &Standing) {
    println!("{what}: generation {}", standing.generation);
    println!("  key:         {}", standing.key);
    println!("  public key:  SHA-256 {}", standing.key_sha256);
    if let Some(request) = &standing.request {
        println!("  request:     {}", request.display());
    }
    if let Some(fingerprint) = &standing.certificate_sha256 {
        println!("  certificate: SHA-256 {fingerprint}");
    }
    if let (Some(from), Some(until), Some(left)) =
        (standing.not_before, standing.not_after, standing.days_left)
    {
        println!("  valid:       {from} to {until}, {left} days left");
    }
    if let Some(until) = standing.root_not_after {
        println!("  root until:  {until}");
    }
    match standing.published {
        Some(true) => println!("  trust root:  lists it"),
        Some(false) => println!("  trust root:  DOES NOT list it as valid now"),
        None => {}
    }
}
