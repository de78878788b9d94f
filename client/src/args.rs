//! `--node URL`: which nodes a command asks, and by whose certificates they are known.

use std::path::PathBuf;

use clap::Args;

use crate::{error::ClientError, http::Client};

/// The variable that names the nodes, separated by commas.
pub const NODE_VARIABLE: &str = "QUORATE_NODE";
/// The node of a localnet or of the machine itself.
pub const NODE_DEFAULT: &str = "http://127.0.0.1:8080";
/// The variable that names the file of certificates.
pub const CA_FILE_VARIABLE: &str = "QUORATE_CA_FILE";

/// The nodes that a command asks: any one will do, the others are tried when it does not answer.
#[derive(Clone, Debug, Args)]
pub struct NodeArgs {
    /// Node to ask, http or https; repeatable, the next is tried when one does not answer or has no proof.
    #[arg(long = "node", env = NODE_VARIABLE, value_delimiter = ',', value_name = "URL", default_value = NODE_DEFAULT, global = true)]
    pub nodes: Vec<String>,
    /// Certificates (PEM) of the authorities that https nodes are checked against [default: those of the system].
    #[arg(long, env = CA_FILE_VARIABLE, value_name = "FILE", global = true)]
    pub ca_file: Option<PathBuf>,
}

impl NodeArgs {
    /// A client of these nodes.
    ///
    /// # Errors
    /// [`ClientError::Url`], [`ClientError::Tls`].
    pub fn client(&self) -> Result<Client, ClientError> {
        Client::with_ca_file(&self.nodes, self.ca_file.as_deref())
    }
}
