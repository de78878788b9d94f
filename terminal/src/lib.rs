//! What all commands share: where output goes, and how a command ends.
//!
//! Standard output carries data only, as text or as one JSON object (a line each where a command goes on); standard error carries
//! everything meant for people: notes, progress, errors.

#![forbid(unsafe_code)]

mod failure;
mod json;
mod output;
mod quote;
mod shell;
mod usage;

pub use self::{
    failure::{CommandError, Exit},
    output::{Color, Format, Output, OutputArgs, Progress, Written, colors_errors},
    quote::{FOREIGN_CHARS_MAX, foreign, is_plain},
    shell::{program_word, shell_word},
    usage::parse,
};
