//! What all commands share: where output goes, and how a command ends.
//!
//! Standard output carries data only, as text or as one JSON object (a line each where a command goes on); standard error carries
//! everything meant for people: notes, progress, errors.

mod failure;
mod output;
mod shell;

pub use self::{
    failure::{CommandError, Exit},
    output::{Color, Format, Output, OutputArgs, Progress, colors_errors},
    shell::{program_word, shell_word},
};
