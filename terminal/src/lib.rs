//! What all commands share: where output goes, and how a command ends.
//!
//! Standard output carries only data: text, or one JSON object per command (per line, for commands that keep running). Standard error carries
//! everything meant for people: notes, progress, errors.

#![forbid(unsafe_code)]

mod failure;
mod json;
mod output;
mod program;
mod shell;
mod untrusted;
mod usage;

pub use self::{
    failure::{CommandError, Exit},
    output::{Color, Format, Output, OutputArgs, Progress, Written, colors_errors, colors_output},
    program::in_this_program,
    shell::{program_word, shell_word},
    untrusted::{UNTRUSTED_CHARS_MAX, escape_untrusted, is_plain},
    usage::parse,
};
