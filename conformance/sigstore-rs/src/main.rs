//! sigstore-rs as a verifier: `sigstore-rs-client TRUSTED_ROOT BUNDLE IDENTITY ISSUER FILE`.

use std::fs::{self, File};
use std::process::ExitCode;

use sigstore::bundle::Bundle;
use sigstore::bundle::verify::blocking::Verifier;
use sigstore::bundle::verify::policy::Identity;
use sigstore::trust::sigstore::SigstoreTrustRoot;

fn main() -> ExitCode {
    match verify() {
        Ok(()) => {
            println!("verified");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("refused: {error}");
            ExitCode::FAILURE
        }
    }
}

fn verify() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [trusted_root, bundle, identity, issuer, file] = arguments.as_slice() else {
        return Err("usage: sigstore-rs-client TRUSTED_ROOT BUNDLE IDENTITY ISSUER FILE".into());
    };
    let trusted_root = SigstoreTrustRoot::from_trusted_root_json_unchecked(&fs::read(trusted_root)?)?;
    let verifier = Verifier::new(Default::default(), trusted_root)?;
    let bundle: Bundle = serde_json::from_slice(&fs::read(bundle)?)?;
    let policy = Identity::new(identity, issuer);
    Ok(verifier.verify(File::open(file)?, bundle, &policy, true)?)
}
