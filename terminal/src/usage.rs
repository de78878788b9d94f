//! The command line, and how wrong usage is told: to a person by clap, to a program as the JSON object that every error is.

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, error::ErrorKind};

use super::{CommandError, Exit};

/// The arguments of the process. What is no command (help, version, wrong usage) is dealt with here, and the process ends with the code.
///
/// # Errors
/// The code to end with.
pub fn parse<P: Parser>(name: &'static str) -> Result<P, ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let matches = P::command().name(name).bin_name(name).try_get_matches_from(&arguments);
    matches.and_then(|mut matches| P::from_arg_matches_mut(&mut matches)).map_err(|error| {
        if is_wrong(&error) && wants_json(&arguments) {
            anstream::eprintln!("{}", explain(&error).to_json());
            return Exit::Usage.into();
        }
        // Nobody is left to tell when this cannot be written.
        drop(error.print());
        u8::try_from(error.exit_code()).unwrap_or(1).into()
    })
}

fn is_wrong(error: &clap::Error) -> bool {
    !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

fn explain(error: &clap::Error) -> CommandError {
    let text = error.render().to_string();
    let (message, hint) = text.trim().split_once("\n\n").unwrap_or((text.trim(), ""));
    let error = CommandError::usage(message.strip_prefix("error: ").unwrap_or(message));
    if hint.is_empty() { error } else { error.with_hint(hint.trim()) }
}

/// Whether programs read the output. The arguments did not parse, so they are looked at one by one.
fn wants_json(arguments: &[OsString]) -> bool {
    let texts: Vec<_> = arguments.iter().skip(1).map(|argument| argument.to_string_lossy()).take_while(|text| *text != "--").collect();
    let apart =
        texts.windows(2).any(|pair| matches!(pair, [option, format] if (option == "-o" || option == "--output") && format == "json"));
    apart || texts.iter().any(|text| matches!(&**text, "-ojson" | "-o=json" | "--output=json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        output: crate::OutputArgs,
        #[arg(long)]
        amount: u64,
    }

    fn arguments(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn json_is_recognised_in_every_spelling_that_clap_takes() {
        for text in ["x -o json", "x a --output json b", "x -ojson", "x -o=json", "x --output=json --amount"] {
            assert!(wants_json(&arguments(text)), "{text}");
        }
        for text in ["x", "x -o text", "x json", "x -- -o json"] {
            assert!(!wants_json(&arguments(text)), "{text}");
        }
    }

    #[test]
    fn wrong_usage_is_one_sentence_and_a_hint() {
        let error = Program::try_parse_from(arguments("x --amount five -o json")).unwrap_err();
        assert!(is_wrong(&error));
        let explained = explain(&error);
        assert_eq!((explained.code.as_str(), explained.exit.code()), ("usage", 2));
        assert!(explained.message.contains("five") && !explained.message.contains('\n'), "{explained:?}");
        assert!(!is_wrong(&Program::try_parse_from(arguments("x --help")).unwrap_err()));
    }
}
