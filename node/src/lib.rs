//! The validator process: a [replica](quorate_replica) with clock, threads, network, HTTP API and operator interface.
//!
//! ```text
//!  validators <--> network --bytes--> verify --Verified--> mailbox --> event_loop: Replica::push, poll --> network, watch, answers
//!  clients    <--> api ------------> verify ------------------^ ^                                              |
//!                   ^-- questions -----------------------------' '--------- committed views, answers ----------'
//! ```
//!
//! No protocol decision is made here. Start reading at [`Node::start`], then `event_loop.rs`.
#![forbid(unsafe_code)]

mod addresses;
mod api;
mod chain;
mod clock;
mod command;
mod config;
mod diagnosis;
mod disk;
mod doctor;
mod drops;
mod epochs;
mod event_loop;
mod events;
mod evidence;
mod failure;
mod fair;
#[cfg(feature = "faults")]
mod faults;
mod feed;
mod files;
mod following;
mod helpers;
mod home;
mod ingest;
mod json_file;
mod links;
mod lock;
mod logging;
mod machine;
mod mailbox;
mod metrics;
mod nearest;
mod peering;
mod priority;
mod relevance;
mod run;
mod safety;
mod serve;
mod settings;
mod signals;
mod signer;
mod stall;
mod submission;
mod supervisor;
mod template;
mod verify;
mod watchdog;
mod witness_file;

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod truncated_log;

pub use command::{CheckCommand, Command, InitCommand, RunCommand, SettingArgs};
pub use config::{
    ApiConfig, Config, ConfigError, ENVIRONMENT_PREFIX, LogConfig, LogFormat, MetricsConfig, NetworkConfig, NodeConfig, Override,
    PoolConfig, StoreConfig, from_environment,
};
pub use doctor::{BundleCommand, DebugCommand, DoctorCommand};
pub use files::TooFewFiles;
pub use home::Home;
pub use lock::LockError;
pub use logging::LoggingError;
pub use machine::MachineError;
pub use run::{Ending, Membership, Node, NodeError, Setup, check_genesis_hash};
pub use safety::{RecoverCommand, SafetyCommand, TransferCommand};
pub use settings::{ConfigCommand, LayerArgs, SetCommand, ShowCommand};
pub use signer::{SignerArgs, SignerCommand};
pub use template::render as render_config;
pub use witness_file::WitnessError;
