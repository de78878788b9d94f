//! `quorate config show | validate | diff | set`: what a validator's settings are, where each comes from, and what is wrong with them.

mod edit;
pub(crate) mod layers;
pub(crate) mod passwords;

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use quorate_keygen::{HomeArgs, whole_file};
use quorate_terminal::{CommandError, Output};
use serde::Serialize;

use self::layers::{Layers, Overrides, Problem, Setting};
use crate::{
    command::{JoinArgs, SettingArgs},
    config::read_text,
    home::Home,
};

/// Show, check and change a validator's settings.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the settings in force, as TOML.
    Show(ShowCommand),
    /// Report everything that is wrong with the settings, with the line of the file.
    Validate(LayerArgs),
    /// Print the settings that differ from their defaults, as TOML.
    Diff(LayerArgs),
    /// Change a setting in the configuration file. Comments stay, and the file is replaced only if the result is valid.
    Set(SetCommand),
}

/// What the settings of `quorate node run` are taken from.
#[derive(Clone, Debug, Args)]
pub struct LayerArgs {
    #[command(flatten)]
    home: HomeArgs,
    #[command(flatten)]
    join: JoinArgs,
    #[command(flatten)]
    settings: SettingArgs,
}

/// `quorate config show`.
#[derive(Clone, Debug, Args)]
pub struct ShowCommand {
    /// Say where each value comes from: the default, the file with its line, the environment or the command line.
    #[arg(long)]
    origin: bool,
    #[command(flatten)]
    layers: LayerArgs,
}

/// `quorate config set`.
#[derive(Clone, Debug, Args)]
pub struct SetCommand {
    /// The setting, such as api.listen.
    #[arg(value_name = "SECTION.KEY")]
    key: String,
    /// Its value, such as 127.0.0.1:8081; lists and tables as in TOML.
    value: String,
    #[command(flatten)]
    home: HomeArgs,
}

/// Settings as JSON.
#[derive(Debug, Serialize)]
struct Shown {
    file: PathBuf,
    settings: Vec<Setting>,
}

impl LayerArgs {
    /// The home, and its settings as `quorate node run` would take them with these options.
    pub(crate) fn read(&self) -> Result<(Home, Layers), CommandError> {
        let home = Home::new(self.home.path()?);
        let overrides = Overrides::new(std::env::vars_os(), self.settings.overrides(), self.join.urls());
        let layers = Layers::read(&home.config_file(), &overrides);
        Ok((home, layers))
    }

    /// Whether the key need not be in the genesis.
    pub(crate) const fn may_join(&self) -> bool {
        self.join.is_set()
    }

    fn valid(&self) -> Result<(PathBuf, Layers), CommandError> {
        let (home, layers) = self.read()?;
        let file = home.config_file();
        match &*layers.problems {
            [] => Ok((file, layers)),
            problems => Err(invalid(&file, problems)),
        }
    }
}

fn invalid(file: &Path, problems: &[Problem]) -> CommandError {
    let said: Vec<_> = problems.iter().map(|problem| problem.say(file)).collect();
    CommandError::failure("config", said.join("\n"))
}

impl ConfigCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn run(self, out: &Output) -> Result<(), CommandError> {
        match self {
            Self::Show(command) => {
                let (file, layers) = command.layers.valid()?;
                let shown = Shown { file, settings: layers.settings() };
                let note = |setting: &Setting| command.origin.then(|| setting.origin.to_string());
                out.print(&shown, || Layers::to_toml(&shown.settings, note))
            }
            Self::Diff(layers) => {
                let (file, layers) = layers.valid()?;
                let settings = layers.settings().into_iter().filter(|setting| setting.value != setting.default).collect();
                let shown = Shown { file, settings };
                out.print(&shown, || {
                    Layers::to_toml(&shown.settings, |setting| Some(format!("{}; default {}", setting.origin, setting.default)))
                })?;
                if shown.settings.is_empty() {
                    out.note("every setting has its default");
                }
                Ok(())
            }
            Self::Validate(layers) => validate(&layers, out),
            Self::Set(command) => command.run(out),
        }
    }
}

fn validate(layers: &LayerArgs, out: &Output) -> Result<(), CommandError> {
    #[derive(Serialize)]
    struct Validated {
        file: PathBuf,
        problems: Vec<Problem>,
    }
    let (home, layers) = layers.read()?;
    let validated = Validated { file: home.config_file(), problems: layers.problems };
    out.print(&validated, || {
        let lines: Vec<_> = validated.problems.iter().map(|problem| problem.say(&validated.file)).collect();
        lines.join("\n")
    })?;
    match validated.problems.len() {
        0 => {
            out.good("every setting is valid; `quorate node check` compares them with the machine and the genesis");
            Ok(())
        }
        1 => Err(CommandError::failure("config", "1 error in the settings")),
        count => Err(CommandError::failure("config", format!("{count} errors in the settings"))),
    }
}

impl SetCommand {
    fn run(self, out: &Output) -> Result<(), CommandError> {
        #[derive(Serialize)]
        struct Set {
            file: PathBuf,
            key: String,
            is_changed: bool,
        }
        let Self { key, value, home } = self;
        // A link is followed, so that it stays one.
        let named = Home::new(home.path()?).config_file();
        let file = fs::canonicalize(&named).unwrap_or(named);
        let before = read_text(&file).map_err(|error| CommandError::failure("config", error))?;
        let after = edit::set(&file, &before, &key, value.trim()).map_err(|error| {
            CommandError::failure("config", passwords::in_text(&error.to_string()))
                .with_hint("the file was not changed; `quorate config validate` reports everything that is wrong with it")
        })?;
        let is_changed = after != before;
        if is_changed {
            whole_file::replace_alike(&file, after.as_bytes()).map_err(|error| {
                let failed = CommandError::failure("io", format!("{}: {error}", file.display()));
                match fs::metadata(&file) {
                    Ok(metadata) => failed.with_hint(format!(
                        "run it as the owner of the file, who must have write access to its directory: sudo -u '#{}' quorate config set {key} VALUE",
                        metadata.uid()
                    )),
                    Err(_) => failed,
                }
            })?;
        }
        let set = Set { file, key, is_changed };
        out.print(&set, || if set.is_changed { format!("changed {}", set.file.display()) } else { "it has this value already".into() })?;
        let overrides = Overrides::new(std::env::vars_os(), Vec::new(), Vec::new());
        if let Some(variable) = overrides.variable(&set.key) {
            out.note(format_args!("the {variable} is set, and takes precedence over the file"));
        }
        if set.is_changed {
            out.note("a running validator uses it from its next start on");
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt;

    use clap::Parser;
    use quorate_terminal::Format;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        command: ConfigCommand,
    }

    fn run(format: Format, home: &Path, arguments: &[&str]) -> (Result<(), CommandError>, String) {
        let arguments = [&["config"], arguments, &["--home", home.to_str().unwrap()]].concat();
        let out = Output::kept(format);
        let result = Program::try_parse_from(arguments).unwrap().command.run(&out);
        (result, out.written().stdout)
    }

    fn home_with(text: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let file = Home::new(directory.path()).config_file();
        fs::create_dir(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        directory
    }

    #[test]
    fn show_is_toml_that_means_the_same_and_tells_where_each_value_comes_from() {
        let home = home_with("[api]\nthreads = 2\n");
        let (result, text) = run(Format::Text, home.path(), &["show", "--origin", "--log-level", "warn"]);
        result.unwrap();
        assert!(text.contains("threads = 2  # file, line 2\n"), "{text}");
        assert!(text.contains("level = \"warn\"  # command line, --log-level\n"), "{text}");
        assert!(text.contains("waiting_max = 10000  # default\n"), "{text}");
        let config = crate::Config::parse(Path::new("shown"), &text).unwrap();
        assert_eq!((config.api.threads, config.log.level.as_str()), (2, "warn"));
        let (_, plain) = run(Format::Text, home.path(), &["show"]);
        assert!(plain.contains("\nthreads = 2\n") && !plain.contains('#'), "{plain}");
        let (_, json) = run(Format::Json, home.path(), &["show"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let of = |key: &str| json["settings"].as_array().unwrap().iter().find(|setting| setting["key"] == key).unwrap().clone();
        assert_eq!(of("api.threads"), serde_json::json!({ "key": "api.threads", "value": 2, "default": 1, "origin": "file", "line": 2 }));
        assert_eq!(of("pool.bytes_max")["origin"], "default");
    }

    #[test]
    fn diff_shows_what_differs_and_nothing_else() {
        let home = home_with("[api]\nthreads = 2\nwaiting_max = 10000\n");
        let (result, text) = run(Format::Text, home.path(), &["diff"]);
        result.unwrap();
        assert_eq!(text, "[api]\nthreads = 2  # file, line 2; default 1\n");
        assert_eq!(run(Format::Text, home_with("").path(), &["diff"]).1, "");
    }

    #[test]
    fn validate_reports_everything_at_once_with_its_line() {
        let text = "[api]\nlisen = 1\nthreads = 0\nlisten = 7\n\n[apii]\n[pool]\nbytes_max = 1\n";
        let home = home_with(text);
        let (result, json) = run(Format::Json, home.path(), &["validate", "--set", "api.waiting_max=many", "--set", "log.level=inf"]);
        assert_eq!(result.unwrap_err().code, "config");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let found: Vec<_> = json["problems"].as_array().unwrap().iter().map(|problem| (&problem["line"], &problem["key"])).collect();
        let expected = serde_json::json!([
            [2, "api.lisen"],
            [3, "api.threads"],
            [4, "api.listen"],
            [6, "apii"],
            [8, "pool.bytes_max"],
            [null, "api.waiting_max"],
            [null, "log.level"]
        ]);
        assert_eq!(serde_json::json!(found), expected);
        let (_, text) = run(Format::Text, home.path(), &["validate"]);
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(text.contains("config.toml:3: `api.threads` = 0 is not allowed"), "{text}");
        assert!(run(Format::Text, home.path(), &["show"]).0.unwrap_err().message.contains("config.toml:8:"));
        run(Format::Text, home_with("").path(), &["validate"]).0.unwrap();
    }

    #[test]
    fn set_replaces_the_file_only_by_a_valid_one_and_keeps_its_mode() {
        let home = home_with("# mine\n[api]\nthreads = 2\n");
        let file = Home::new(home.path()).config_file();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        run(Format::Text, home.path(), &["set", "api.threads", "3"]).0.unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "# mine\n[api]\nthreads = 3\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        for wrong in [["set", "api.threads", "0"], ["set", "api.thread", "4"]] {
            assert_eq!(run(Format::Text, home.path(), &wrong).0.unwrap_err().code, "config");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "# mine\n[api]\nthreads = 3\n");
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    }

    /// What people write in place of a URL whose password has letters that URLs do not allow.
    pub(crate) const WITH_SECRET: [&str; 24] = [
        "http://user:SECRET@host",
        "http://user:pa/ss-SECRET@host",
        "http://127.0.0.1:12/SECRET@host",
        "http://user:p?SECRET@host",
        "http://user:p#SECRET@host",
        "http://user:p@SECRET@host",
        "http://us@er:SECRET@host:99999",
        "http://user:pa ss SECRET@host",
        "http://user:pa\"SECRET@host",
        "http://user:pa'SECRET@host",
        "http://user:pa\\SECRET@host",
        "http://user:SECRET@",
        "http://[SECRET@host",
        "HTTP://user:SECRET@host",
        " http://user:SECRET@host ",
        "ht!tp://user:SECRET@host",
        "http:/user:SECRET@host",
        "http:user:SECRET@host",
        "ftp:user:SECRET@host",
        "ftp://user:SECRET@host",
        "//user:SECRET@host",
        "user:SECRET@host",
        "user:SECRET@[::1]:80",
        "SECRET@host",
    ];

    #[test]
    fn no_shape_of_a_password_is_told_by_any_command() {
        for secret in WITH_SECRET {
            let text = toml::Value::String(secret.into());
            for file in [
                format!("[network]\njoin = [{text}]\n"),
                format!("[network]\njoin = {text}\n"),
                format!("network = {text}\n"),
                format!("[network]\nresolver = {text}\npeers = {{ two = {text} }}\n"),
                format!("[network]\npeers = {text}\n[api]\nlisten = {text}\n"),
                format!("[network]\n{text} = 1\n"),
            ] {
                let home = home_with(&file);
                for command in ["show", "diff", "validate"] {
                    for format in [Format::Text, Format::Json] {
                        let (result, told) = run(format, home.path(), &[command]);
                        assert!(!format!("{result:?} {told}").contains("SECRET"), "{command} of {file}: {result:?} {told}");
                    }
                }
            }
            let home = home_with("");
            for flag in [
                format!("network.join=[{text}]"),
                format!("network.join={secret}"),
                format!("network.join=[{secret}"),
                format!("network.listen={secret}"),
                format!("api.threads={secret}"),
            ] {
                for command in ["show", "diff", "validate"] {
                    let (result, told) = run(Format::Json, home.path(), &[command, "--set", &flag]);
                    assert!(!format!("{result:?} {told}").contains("SECRET"), "{command} of {flag}: {result:?} {told}");
                }
            }
        }
    }

    #[test]
    fn a_link_to_the_file_stays_a_link() {
        let (real, home) = (home_with(""), tempfile::tempdir().unwrap());
        let (target, link) = (Home::new(real.path()).config_file(), Home::new(home.path()).config_file());
        fs::create_dir(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        run(Format::Text, home.path(), &["set", "api.threads", "3"]).0.unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::read_to_string(&target).unwrap().contains("threads = 3"));
    }
}
