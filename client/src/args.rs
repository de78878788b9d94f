//! `--node URL` and `--ca-file FILE`: the nodes a command uses, and the certificates it trusts.

use std::path::PathBuf;

use clap::Args;

use crate::{error::ClientError, http::Client};

/// Environment variable for the node URLs, separated by commas.
pub const NODE_VARIABLE: &str = "QUORATE_NODE";
/// Default: a node on this machine.
pub const NODE_DEFAULT: &str = "http://127.0.0.1:8080";
/// Environment variable for the file of trusted certificates.
pub const CA_FILE_VARIABLE: &str = "QUORATE_CA_FILE";

/// The nodes a command uses. Any one of them will do; the others are tried if it does not answer.
#[derive(Clone, Debug, Args)]
pub struct NodeArgs {
    /// URL of a node, http or https; repeatable, the next one is tried if one does not answer or has no proof.
    #[arg(long = "node", env = NODE_VARIABLE, value_delimiter = ',', value_name = "URL", default_value = NODE_DEFAULT, global = true)]
    pub nodes: Vec<String>,
    /// CA certificates (PEM) to trust for https nodes [default: the system's].
    #[arg(long, env = CA_FILE_VARIABLE, value_name = "FILE", global = true)]
    pub ca_file: Option<PathBuf>,
}

impl NodeArgs {
    /// A client for these nodes.
    ///
    /// # Errors
    /// [`ClientError::Url`], [`ClientError::Tls`].
    pub fn client(&self) -> Result<Client, ClientError> {
        Client::with_ca_file(&self.nodes, self.ca_file.as_deref())
    }
}
