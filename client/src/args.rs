//! `--node URL`: which nodes a command asks.

use clap::Args;

use crate::{error::ClientError, http::Client};

/// The variable that names the nodes, separated by commas.
pub const NODE_VARIABLE: &str = "QUORATE_NODE";
/// The node of a localnet or of the machine itself.
pub const NODE_DEFAULT: &str = "http://127.0.0.1:8080";

/// The nodes that a command asks: any one will do, the others are tried when it does not answer.
#[derive(Clone, Debug, Args)]
pub struct NodeArgs {
    /// Node to ask; repeatable, the next is tried when one does not answer.
    #[arg(long = "node", env = NODE_VARIABLE, value_delimiter = ',', value_name = "URL", default_value = NODE_DEFAULT, global = true)]
    pub nodes: Vec<String>,
}

impl NodeArgs {
    /// A client of these nodes.
    ///
    /// # Errors
    /// [`ClientError::Url`].
    pub fn client(&self) -> Result<Client, ClientError> {
        Client::new(&self.nodes)
    }
}
