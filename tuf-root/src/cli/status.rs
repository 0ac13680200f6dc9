//! `status` and `transcript`.

use std::process::ExitCode;

use serde_json::json;

use super::{Failure, Location, print_json, say, tell};

pub(super) async fn status(location: Location) -> ExitCode {
    let status = match location.open() {
        Ok(repository) => repository.status().await.map_err(say),
        Err(failure) => Err(failure),
    };
    let status = match status {
        Ok(status) => status,
        Err(failure) => {
            return failure.exit();
        }
    };
    if location.json {
        print_json(&json!(status));
    } else {
        println!("{}", status.phase.as_str());
        for role in &status.roles {
            let days = role.seconds_left / 86_400;
            let name = role.role.as_str();
            println!(
                "{name:<9} version {:<4} expires {} (in {days} days)",
                role.version, role.expires
            );
        }
        for staged in &status.staged {
            for q in &staged.quorums {
                let (have, need) = (q.signed.len(), q.threshold);
                println!(
                    "{} version {} is staged: {have} of {need} signatures",
                    staged.role, staged.version
                );
            }
        }
        for name in &status.unpublished {
            println!("{name} changes with the next publication");
        }
        for line in &status.pending {
            tell(line);
        }
        for line in &status.attention {
            eprintln!("{line}");
        }
    }
    ExitCode::from(u8::from(!status.attention.is_empty()))
}

pub(super) fn transcript(location: &Location) -> Result<(), Failure> {
    let text = location.open()?.transcript().read().map_err(say)?;
    match location.json {
        true => print_json(&json!({ "lines": text.lines().collect::<Vec<_>>() })),
        false => print!("{text}"),
    }
    Ok(())
}
