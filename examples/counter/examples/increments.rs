//! Sends increments from a program: `increments GENESIS KEYS ACCOUNT URL...`

use std::{error::Error, path::Path, time::Duration};

use quorate_client::{Client, LightClient, Service, Session};
use quorate_keygen::{PassphraseSource, load_account_key};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [genesis, keys, account, urls @ ..] = arguments.as_slice() else { return Err("GENESIS KEYS ACCOUNT URL...".into()) };
    let genesis = quorate_genesis::load(Path::new(genesis))?;
    let key = load_account_key(Path::new(keys), account, &PassphraseSource::Usual { file: None })?;
    let session = Session::new(Client::new(urls)?, LightClient::new(genesis)?);
    let counter = Service::new(session, key.signing);

    // Ordered: the receipt is proved by a quorum's signatures.
    let timeout = Duration::from_secs(30);
    let invoked = counter.invoke_ordered::<u64, u64>(&2, timeout).await?;
    println!("incremented to {:?}", invoked.result);

    // Unordered: the same answer from more validators than can be faulty.
    let agreed = counter.invoke_unordered::<(), u64>(&(), timeout).await?;
    println!("{} validators say {}", agreed.nodes, agreed.value);
    Ok(())
}
