//! A service follows its source: whatever way files are exchanged, and never to something broken.

use custody::{Current, Purpose, SourceError, follow};

use super::*;

/// The DER of the signing certificate that is in use.
type Used = Arc<Current<Vec<u8>>>;

async fn using(source: &Source) -> Used {
    let opened = source.stamp();
    let open = {
        let source = source.clone();
        move || {
            let source = source.clone();
            async move {
                let material = source.open(Some(&passphrase())).await?;
                if material.chain.public_key() != material.signer.public_key() {
                    return Err(SourceError::Inactive("the key is another".into()));
                }
                Ok(material.chain.first().to_vec())
            }
        }
    };
    let current = Arc::new(Current::new(open().await.unwrap()));
    follow("test", source.clone(), opened, &current, open);
    current
}

async fn becomes(used: &Used, expected: &[u8]) {
    for _ in 0..400 {
        if *used.get() == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it was not taken up");
}

fn signing(home: &Home, generation: u32) -> Vec<u8> {
    let chain = home.open().generation(generation).unwrap().chain.unwrap();
    chain.first().to_vec()
}

#[tokio::test]
async fn an_activated_successor_is_taken_up() {
    let home = Home::made(Purpose::CodeSigning).await;
    let used = using(&home.source()).await;
    assert_eq!(*used.get(), signing(&home, 1));
    home.next().await;
    home.activate(&home.publish(&[1, 2], |_| ())).unwrap();
    becomes(&used, &signing(&home, 2)).await;
}

#[tokio::test]
async fn files_are_followed_through_renames_and_links_and_broken_ones_are_not() {
    let home = Home::made(Purpose::CodeSigning).await;
    home.next().await;
    // Two folders and a link between them, as Kubernetes mounts a secret.
    let mount = home.directory.path().join("mount");
    let folder = |number: u32| mount.join(format!("..data-{number}"));
    for number in [1, 2] {
        std::fs::create_dir_all(folder(number)).unwrap();
        std::fs::copy(
            home.path().join(format!("{number}/chain.pem")),
            folder(number).join("chain.pem"),
        )
        .unwrap();
        std::fs::copy(
            home.path().join(format!("key-{number}.pem")),
            folder(number).join("key.pem"),
        )
        .unwrap();
    }
    let point = |number: u32| {
        let new = mount.join("..new");
        std::os::unix::fs::symlink(folder(number), &new).unwrap();
        std::fs::rename(new, mount.join("..data")).unwrap();
    };
    point(1);
    let source = Source::Files {
        chain: mount.join("..data/chain.pem"),
        key: KeyUri::file(mount.join("..data/key.pem")),
    };
    let used = using(&source).await;
    point(2);
    becomes(&used, &signing(&home, 2)).await;

    // Half of a change: a chain without its key. Nothing happens until the other half is there.
    let rename = |from: PathBuf, name: &str| {
        let beside = folder(2).join("beside");
        std::fs::copy(from, &beside).unwrap();
        std::fs::rename(beside, folder(2).join(name)).unwrap();
    };
    rename(home.path().join("1/chain.pem"), "chain.pem");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(*used.get(), signing(&home, 2));
    rename(home.path().join("key-1.pem"), "key.pem");
    becomes(&used, &signing(&home, 1)).await;
    std::fs::write(folder(2).join("chain.pem"), "garbage").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(*used.get(), signing(&home, 1));
}
