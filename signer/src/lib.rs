//! A consensus key in a process of its own. The node has the network key and asks the signer over a unix socket; the signer judges every
//! statement by its own record, and makes that durable before it signs ([`quorate_consensus::keeper`]).
//!
//! ```text
//! node: rules, record, synced --Sign--> signer: rules, record, synced, signature --Signed--> node: checks the signature, sends the message
//!                             <--Refused: the statement contradicts what the key has signed
//! ```
//! A node that was taken over can make the signer sign nothing that contradicts its earlier signatures; two nodes at one signer get one
//! signature between them. While the signer is away the node follows and sends nothing that needs a signature.

#![forbid(unsafe_code)]

mod home;
mod link;
mod server;
#[cfg(test)]
mod tests;
mod wire;

pub use home::{HomeError, SignerHome};
pub use link::{Absence, RemoteSigner};
pub use quorate_consensus::keeper;
pub use server::Server;
